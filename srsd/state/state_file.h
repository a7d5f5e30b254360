/* state_file.h - the last known set of a label as the bytes of a file, and back. Pure: no I/O, no clock.
 *
 *   srsd-state 1 <CRC-32 of what follows, 8 digits> <bytes of it, 10 digits>
 *   {"servers":..,"path":..,"format":..,"port_name":..,"confirmed_ms":..}   what it is the set of, and when
 *   {"name":..,"address":..,"weight":..,"zone":..,"labels":{..},"owner":..,"created_ms":..}   each member
 *
 * A member's line has its name, and of the rest what differs from what a name alone says. */
#ifndef SRSD_STATE_FILE_H
#define SRSD_STATE_FILE_H

#include "common/internal.h"

#define SRSD_STATE_FILE_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* What a set is the set of. Nothing that differs in it shares a file, nor reads the other's. Borrowed. */
struct srsd_state_subject {
	const char *servers; /* of ZooKeeper, in any order */
	const char *path;    /* of the label, with chroot and registry */
	const struct srsd_read_options *options;
};

/* "tornado_app-0123456789abcdef.state": the label, as far as it is fit for a file's name, and a number made
 * of the whole subject. */
#define SRSD_STATE_NAME_MAX 128

/* False: memory is short. */
bool srsd_state_file_name(
	const struct srsd_state_subject *subject, char out[SRSD_STATE_NAME_MAX]) SRSD_MUST_CHECK;

/* The file for that set, known by ZooKeeper at `confirmed_ms` since 1970. NULL: memory is short. The caller
 * frees it. */
char *srsd_state_file_write(const struct srsd_state_subject *subject, const struct srsd_snapshot *snapshot,
	int64_t confirmed_ms, size_t *bytes) SRSD_MUST_CHECK;

enum srsd_state_verdict { SRSD_STATE_GOOD, SRSD_STATE_REFUSED, SRSD_STATE_NO_MEMORY };

/* Read a file. `snapshot` and `confirmed_ms` are set if it is good, and the caller owns one reference; `why`,
 * if it is refused, is a static phrase, such as "it is damaged". */
enum srsd_state_verdict srsd_state_file_read(const struct srsd_state_subject *subject, const char *text,
	size_t bytes, struct srsd_snapshot **snapshot, int64_t *confirmed_ms,
	const char **why) SRSD_MUST_CHECK;

#endif
