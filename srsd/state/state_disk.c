/* state_disk - files of the state directory (see state_disk.h). Owns nothing between calls.
 *
 *   write: PATH.<random>.tmp made, written, synced --> renamed to PATH --> the directory synced */
#include "state/state_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "state/state_file.h"

#define TEMPORARY_ENDING ".tmp"
#define STATE_ENDING	 ".state."
#define LEFT_BEHIND_S	 60 /* nobody writes a file for so long, and if so he tries again */

/* ---- The directory --------------------------------------------------------------------------- */

enum srsd_status srsd_state_directory_check(const char *directory, struct srsd_error *error)
{
	struct stat stat_of;

	srsd_error_clear(error);
	if (directory == NULL || directory[0] != '/')
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"the state directory \"%s\" is no absolute path: begin it with '/'",
			directory == NULL ? "" : directory);
	if (stat(directory, &stat_of) != 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"the state directory %s cannot be used: %s; make it, for this user", directory,
			strerrordesc_np(errno));
	if (!S_ISDIR(stat_of.st_mode))
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"the state directory %s is no directory; give another path", directory);
	if (faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"the state directory %s cannot be written: %s; give it to this user", directory,
			strerrordesc_np(errno));
	return SRSD_OK;
}

static bool ends_with(const char *text, const char *ending)
{
	size_t bytes = strlen(text);
	size_t ending_bytes = strlen(ending);

	return bytes >= ending_bytes && strcmp(text + bytes - ending_bytes, ending) == 0;
}

void srsd_state_disk_clean(const char *directory)
{
	DIR *listing = opendir(directory);
	struct dirent *entry;
	struct stat stat_of;

	while (listing != NULL && (entry = readdir(listing)) != NULL) {
		if (strstr(entry->d_name, STATE_ENDING) == NULL ||
			!ends_with(entry->d_name, TEMPORARY_ENDING))
			continue;
		if (fstatat(dirfd(listing), entry->d_name, &stat_of, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(stat_of.st_mode) && stat_of.st_mtime < time(NULL) - LEFT_BEHIND_S)
			unlinkat(dirfd(listing), entry->d_name, 0);
	}
	if (listing != NULL)
		closedir(listing);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool refuse(struct srsd_error *why, const char *fault)
{
	srsd_fail(why, SRSD_SYSTEM, "%s", fault);
	return false;
}

/* Nobody but this user may have written it. */
static bool may_be_read(const struct stat *stat_of, struct srsd_error *why)
{
	if (!S_ISREG(stat_of->st_mode))
		return refuse(why, "it is no regular file");
	if (stat_of->st_uid != geteuid() && stat_of->st_uid != 0)
		return refuse(why, "it belongs to another user");
	if ((stat_of->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return refuse(why, "others may write it");
	if (stat_of->st_size > (off_t)SRSD_STATE_FILE_BYTES_MAX)
		return refuse(why, "it is larger than any such file");
	return true;
}

/* Read up to `room` bytes. -1: errno says why. */
static ssize_t read_all(int descriptor, char *out, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t got = read(descriptor, out + used, room - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

static char *read_opened(int descriptor, size_t *bytes, struct srsd_error *why)
{
	struct stat stat_of;
	ssize_t got;
	char *text;

	if (fstat(descriptor, &stat_of) != 0) {
		refuse(why, strerrordesc_np(errno));
		return NULL;
	}
	if (!may_be_read(&stat_of, why))
		return NULL;
	text = malloc((size_t)stat_of.st_size + 1);
	if (text == NULL) {
		refuse(why, "there is no memory for it");
		return NULL;
	}
	got = read_all(descriptor, text, (size_t)stat_of.st_size);
	if (got < 0) {
		refuse(why, strerrordesc_np(errno));
		free(text);
		return NULL;
	}
	*bytes = (size_t)got;
	return text;
}

char *srsd_state_disk_read(const char *path, size_t *bytes, struct srsd_error *why)
{
	/* Not blocking: somebody may have put a pipe there. */
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	char *text;

	srsd_error_clear(why);
	if (descriptor < 0) {
		if (errno == ELOOP)
			refuse(why, "it is a symbolic link");
		else if (errno != ENOENT)
			refuse(why, strerrordesc_np(errno));
		return NULL;
	}
	text = read_opened(descriptor, bytes, why);
	close(descriptor);
	return text;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static bool write_all(int descriptor, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t taken = write(descriptor, text, bytes);

		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0)
			return false;
		text += taken;
		bytes -= (size_t)taken;
	}
	return true;
}

/* Returns an errno value, and its step. */
static int make_file(const char *path, const char *text, size_t bytes, const char **step)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
	int fault = 0;

	*step = "open";
	if (descriptor < 0)
		return errno;
	if (!write_all(descriptor, text, bytes)) {
		*step = "write";
		fault = errno;
	} else if (fsync(descriptor) != 0) {
		*step = "fsync";
		fault = errno;
	}
	if (close(descriptor) != 0 && fault == 0) {
		*step = "close";
		fault = errno;
	}
	return fault;
}

/* The name has to be on the disk, too. */
static int sync_directory(const char *path, const char **step)
{
	const char *slash = strrchr(path, '/');
	char *directory = strndup(path, slash == NULL ? 0 : (size_t)(slash - path));
	int descriptor = -1;
	int fault = 0;

	*step = "fsync of the directory";
	if (directory != NULL)
		descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0 || fsync(descriptor) != 0)
		fault = errno;
	if (descriptor >= 0)
		close(descriptor);
	free(directory);
	return fault;
}

int srsd_state_disk_write(const char *path, const char *text, size_t bytes, const char **step)
{
	char *temporary;
	int fault;

	*step = "malloc";
	/* A number of a process is none: in containers all have the same, the killed one before us, too. */
	if (asprintf(&temporary, "%s.%08" PRIx32 "%08" PRIx32 TEMPORARY_ENDING, path, arc4random(),
		    arc4random()) < 0)
		return ENOMEM;
	fault = make_file(temporary, text, bytes, step);
	if (fault == 0 && rename(temporary, path) != 0) {
		*step = "rename";
		fault = errno;
	}
	if (fault != 0 && fault != EEXIST)
		unlink(temporary);
	free(temporary);
	return fault != 0 ? fault : sync_directory(path, step);
}
