/* A disk that fails at one chosen moment, put between a program and the C library by LD_PRELOAD.
 * Only files below FAULTS_FOLDER are concerned. tests/astdb_faults.rs compiles and uses it.
 *
 * FAULTS_OF     write: what changes a file; sync: what brings it to the disk; name: what makes, renames or removes one; read
 * FAULTS_AT     at which of these, from 1
 * FAULTS_HOW    eio, enospc   it fails, once
 *               stay, full    it and all behind it fail with EIO, ENOSPC
 *               torn          half of it is written, then the disk is full, once
 *               kill          SIGKILL before it
 *               tornkill      half of it is written, then SIGKILL
 *               power         SIGKILL, and all that was not synced is undone
 *               reorder       SIGKILL, and half of what was not synced is undone
 * FAULTS_REPORT a file that is made when the moment has come
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef ssize_t (*pread_fn)(int, void *, size_t, off_t);
typedef int (*fd_fn)(int);
typedef int (*truncate_fn)(int, off_t);
typedef int (*open_fn)(const char *, int, ...);
typedef int (*two_fn)(const char *, const char *);
typedef int (*one_fn)(const char *);
typedef int (*linkat_fn)(int, const char *, int, const char *, int);

/* One write that is not on the disk yet. */
struct undo { struct undo *before; dev_t dev; ino_t ino; int fd; off_t at, size; size_t len; char *old; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct undo *unsynced;
static long count;

static const char *env(const char *name) { const char *value = getenv(name); return value ? value : ""; }
static int how(const char *word) { return strcmp(env("FAULTS_HOW"), word) == 0; }
static int of(const char *kind) { return strcmp(env("FAULTS_OF"), kind) == 0; }
static int below(const char *path) { const char *folder = env("FAULTS_FOLDER"); return *folder && strncmp(path, folder, strlen(folder)) == 0; }

static int concerned(int fd) {
    char link[64], path[4096];
    if (fd < 3) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    return below(path);
}

static void report(void) {
    REAL("open", open_fn);
    int fd = real(env("FAULTS_REPORT"), O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
}

static void undo(void) {
    REAL("pwrite64", pwrite_fn);
    static truncate_fn cut;
    if (!cut) cut = (truncate_fn)dlsym(RTLD_NEXT, "ftruncate64");
    unsigned long dice = 88172645463325252ul + (unsigned long)atol(env("FAULTS_AT"));
    for (struct undo *u = unsynced; u; u = u->before) {
        struct stat now;
        dice = dice * 6364136223846793005ul + 1442695040888963407ul;
        if ((how("reorder") && (dice >> 40) % 2) || fstat(u->fd, &now)) continue;
        if (u->at < u->size) {
            size_t old = u->at + (off_t)u->len > u->size ? (size_t)(u->size - u->at) : u->len;
            if (u->old && real(u->fd, u->old, old, u->at) < 0) continue;
        }
        if (now.st_size <= u->at + (off_t)u->len && now.st_size > u->size && cut(u->fd, u->size)) continue;
    }
}

/* Before a write: keeps what is there. */
static void keep(int fd, off_t at, size_t len) {
    struct stat now;
    if ((!how("power") && !how("reorder")) || fstat(fd, &now) || !S_ISREG(now.st_mode)) return;
    REAL("pread64", pread_fn);
    struct undo *u = calloc(1, sizeof *u);
    *u = (struct undo){ unsynced, now.st_dev, now.st_ino, fcntl(fd, F_DUPFD_CLOEXEC, 200), at, now.st_size, len, NULL };
    if (at < now.st_size) {
        u->old = calloc(1, len);
        if (real(fd, u->old, len, at) < 0) { free(u->old); u->old = NULL; }
    }
    unsynced = u;
}

/* After a sync: what was written to this file stays. Its duplicates stay open, as closing one would give up SQLite's locks. */
static void kept(int fd) {
    struct stat now;
    if (fstat(fd, &now)) return;
    for (struct undo **at = &unsynced; *at;) {
        if ((*at)->dev == now.st_dev && (*at)->ino == now.st_ino) *at = (*at)->before; else at = &(*at)->before;
    }
}

/* Whether the moment has come; then it does not come back where that is the end of the process. */
static int now(const char *kind) {
    if (!of(kind)) return 0;
    long at = atol(env("FAULTS_AT"));
    count++;
    if (count < at || (count > at && !how("stay") && !how("full"))) return 0;
    if (count == at) report();
    if (how("power") || how("reorder")) undo();
    if (how("kill") || how("power") || how("reorder")) { kill(getpid(), SIGKILL); pause(); }
    return 1;
}

static int failing(void) { return how("enospc") || how("torn") || how("full") ? ENOSPC : EIO; }

static ssize_t written(int fd, const void *bytes, size_t len, off_t at, int placed) {
    REAL("pwrite64", pwrite_fn);
    static write_fn plain;
    if (!plain) plain = (write_fn)dlsym(RTLD_NEXT, "write");
    if (!concerned(fd)) return placed ? real(fd, bytes, len, at) : plain(fd, bytes, len);
    static int torn;
    pthread_mutex_lock(&lock);
    ssize_t done;
    if (torn) {
        torn = 0;
        errno = ENOSPC;
        done = -1;
    } else if (now("write")) {
        if ((how("torn") || how("tornkill")) && len > 1) {
            done = placed ? real(fd, bytes, len / 2, at) : plain(fd, bytes, len / 2);
            if (how("tornkill")) { kill(getpid(), SIGKILL); pause(); }
            torn = 1;
        } else {
            if (how("tornkill")) { kill(getpid(), SIGKILL); pause(); }
            errno = failing();
            done = -1;
        }
    } else {
        keep(fd, placed ? at : lseek(fd, 0, SEEK_CUR), len);
        done = placed ? real(fd, bytes, len, at) : plain(fd, bytes, len);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t len) { return written(fd, bytes, len, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return written(fd, bytes, len, at, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return written(fd, bytes, len, at, 1); }

static int truncated(int fd, off_t size) {
    REAL("ftruncate64", truncate_fn);
    if (!concerned(fd)) return real(fd, size);
    pthread_mutex_lock(&lock);
    int done = -1;
    struct stat facts;
    if (now("write")) {
        if (how("tornkill")) { kill(getpid(), SIGKILL); pause(); }
        errno = failing();
    } else {
        if (!fstat(fd, &facts) && size < facts.st_size) keep(fd, size, (size_t)(facts.st_size - size));
        done = real(fd, size);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off_t size) { return truncated(fd, size); }

static int synced(int fd, const char *name) {
    fd_fn real = (fd_fn)dlsym(RTLD_NEXT, name);
    if (!concerned(fd)) return real(fd);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (now("sync")) errno = failing();
    else if ((done = real(fd)) == 0) kept(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

static ssize_t got(int fd, void *bytes, size_t len, off_t at) {
    REAL("pread64", pread_fn);
    if (!concerned(fd)) return real(fd, bytes, len, at);
    pthread_mutex_lock(&lock);
    int fails = now("read");
    pthread_mutex_unlock(&lock);
    if (fails) { errno = failing(); return -1; }
    return real(fd, bytes, len, at);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at) { return got(fd, bytes, len, at); }
ssize_t pread64(int fd, void *bytes, size_t len, off_t at) { return got(fd, bytes, len, at); }

static int named(const char *path) {
    if (!below(path)) return 0;
    pthread_mutex_lock(&lock);
    int fails = now("name");
    pthread_mutex_unlock(&lock);
    if (fails) errno = failing();
    return fails;
}

static int opened(const char *path, int flags, mode_t mode) {
    REAL("open64", open_fn);
    /* A file of the name that is there already is opened as ever. */
    if ((flags & O_CREAT) && access(path, F_OK) && named(path)) return -1;
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(path, flags, mode);
}

int rename(const char *from, const char *to) {
    REAL("rename", two_fn);
    return named(to) ? -1 : real(from, to);
}

int link(const char *from, const char *to) {
    REAL("link", two_fn);
    return named(to) ? -1 : real(from, to);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL("linkat", linkat_fn);
    return named(to) ? -1 : real(a, from, b, to, flags);
}

int unlink(const char *path) {
    REAL("unlink", one_fn);
    return named(path) ? -1 : real(path);
}
