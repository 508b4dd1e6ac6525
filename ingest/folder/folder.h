/* The folders of subscribers' YAML files, watched by inotify and by a scan (for bind mounts).
 * Their content becomes records in ess.subscribers. A bad file is reported, and its last good
 * version stays in force. */
#ifndef ESS_INGEST_FOLDER_H
#define ESS_INGEST_FOLDER_H

struct buf;
struct folder;
struct ingest;

/* Begins to watch `subscribers.dir`; needs a loaded registry. */
struct folder *folder_new(struct ingest *ingest);
void folder_free(struct folder *folder);

/* Appends the complaints about files and folders: {"file","line","error"},… */
void folder_errors(const struct folder *folder, struct buf *out);

#endif
