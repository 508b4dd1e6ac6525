package hms.ess;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Just enough JSON to read the test vectors. Numbers are whole. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        if (json.peek() != 0)
            throw json.wrong();
        return value;
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("no JSON at " + at);
    }

    private char peek() {
        while (at < text.length() && text.charAt(at) <= ' ')
            at++;
        return at < text.length() ? text.charAt(at) : 0;
    }

    private boolean take(char c) {
        if (peek() != c)
            return false;
        at++;
        return true;
    }

    private void expect(char c) {
        if (!take(c))
            throw wrong();
    }

    private Object value() {
        switch (peek()) {
            case '{': return object();
            case '[': return array();
            case '"': return string();
            case 't': return word("true", true);
            case 'f': return word("false", false);
            case 'n': return word("null", null);
            default: return number();
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at))
            throw wrong();
        at += word.length();
        return value;
    }

    private Long number() {
        int begin = at;
        while (at < text.length() && "-0123456789".indexOf(text.charAt(at)) >= 0)
            at++;
        return Long.valueOf(text.substring(begin, at));
    }

    private Map<String, Object> object() {
        Map<String, Object> object = new LinkedHashMap<>();
        expect('{');
        while (!take('}')) {
            peek();
            String name = string();
            expect(':');
            object.put(name, value());
            take(',');
        }
        return object;
    }

    private List<Object> array() {
        List<Object> array = new ArrayList<>();
        expect('[');
        while (!take(']')) {
            array.add(value());
            take(',');
        }
        return array;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        expect('"');
        for (char c; (c = text.charAt(at++)) != '"';)
            out.append(c == '\\' ? escaped() : c);
        return out.toString();
    }

    private char escaped() {
        char c = text.charAt(at++);
        if (c == 'u')
            return (char) Integer.parseInt(text.substring(at, at += 4), 16);
        int control = "nrtbf".indexOf(c);
        return control < 0 ? c : "\n\r\t\b\f".charAt(control);
    }
}
