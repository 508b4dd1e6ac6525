"""The commands of a Markdown document, so that a test can run what a reader would type."""
import dataclasses
import re
import subprocess

from ess import ROOT


@dataclasses.dataclass
class Snippet:
    """A fenced block. `language` is the word behind its fence ("" without one), `section` the heading that it stands under."""
    place: str  # "README.md:42"
    section: str
    language: str
    text: str

    def run(self, replacements, timeout=60, **options):
        """What it prints. Its ports and the like are replaced by the test's own; every command must succeed."""
        text = self.text
        for shown, own in replacements.items():
            text = text.replace(shown, own)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout, **options)
        assert done.returncode == 0, f"{self.place}: status {done.returncode}\n{text}\n{done.stdout}"
        return done.stdout


def snippets(document, language="sh"):
    """Those of a document below the project's root, in its order."""
    found, section, fence = [], "", None
    for number, line in enumerate((ROOT / document).read_text().splitlines(), 1):
        if fence is None and line.startswith("#"):
            section = line.lstrip("# ")
        elif fence is None and (match := re.fullmatch(r"```(\w*)", line)):
            fence = Snippet(f"{document}:{number}", section, match[1], "")
        elif line == "```":
            found.append(fence)
            fence = None
        elif fence:
            fence.text += line + "\n"
    assert fence is None, f"{fence.place}: has no end"
    return [snippet for snippet in found if snippet.language == language]
