/* servers - reads "host:port,host:port/chroot" and the registry's path. Pure; owns nothing. */
#include "session/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX	  64
#define SERVERS_BYTES_MAX 8192
#define PATH_BYTES_MAX	  1024

/* What is wrong with an absolute path, as a static phrase; NULL: nothing. */
static const char *path_fault(const char *path, size_t bytes)
{
	size_t start = 1;

	if (bytes == 0 || path[0] != '/')
		return "it does not begin with a slash";
	if (bytes > PATH_BYTES_MAX)
		return "it is longer than 1024 bytes";
	if (bytes == 1)
		return NULL;
	for (size_t i = 1; i <= bytes; i++) {
		size_t part = i - start;

		if (i < bytes && ((unsigned char)path[i] < 0x20 || path[i] == 0x7f))
			return "it has a control byte";
		if (i < bytes && path[i] != '/')
			continue;
		if (part == 0)
			return i == bytes ? "it ends in a slash" : "it has an empty part between two slashes";
		if ((part == 1 && path[start] == '.') || (part == 2 && memcmp(path + start, "..", 2) == 0))
			return "it has a relative part";
		start = i + 1;
	}
	return NULL;
}

/* The list up to the chroot, or to the end. */
static size_t list_bytes(const char *servers)
{
	return strcspn(servers, "/");
}

static enum srsd_status check_list(
	const char *servers, size_t bytes, unsigned *count, struct srsd_error *error)
{
	const char *entry = servers;
	const char *end = servers + bytes;

	*count = 0;
	if (bytes > SERVERS_BYTES_MAX)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "the list of servers is longer than 8192 bytes");
	while (true) {
		size_t entry_bytes = 0;
		struct srsd_address address;
		const char *why;

		while (entry + entry_bytes < end && entry[entry_bytes] != ',')
			entry_bytes++;
		if (srsd_address_parse(entry, entry_bytes, &address, &why) != SRSD_OK) {
			return srsd_fail(error, SRSD_BAD_ARGUMENT,
				"ZooKeeper server \"%.*s\": %s; write host:port,host:port", (int)entry_bytes,
				entry, why);
		}
		if (++*count > SERVERS_MAX)
			return srsd_fail(error, SRSD_BAD_ARGUMENT, "more than 64 ZooKeeper servers");
		entry += entry_bytes;
		if (entry == end)
			return SRSD_OK;
		entry++;
	}
}

enum srsd_status srsd_servers_check(const char *servers, struct srsd_error *error)
{
	enum srsd_status status;
	const char *chroot;
	const char *why;
	unsigned count;

	srsd_error_clear(error);
	if (servers == NULL)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "no ZooKeeper server is given; write host:port");
	status = check_list(servers, list_bytes(servers), &count, error);
	if (status != SRSD_OK)
		return status;
	chroot = servers + list_bytes(servers);
	why = *chroot == '\0' ? NULL : path_fault(chroot, strlen(chroot));
	if (why == NULL && strchr(chroot, ',') != NULL)
		why = "it has a comma; write it once, after the last server";
	if (why != NULL)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "chroot \"%.256s\": %s", chroot, why);
	return SRSD_OK;
}

enum srsd_status srsd_registry_check(const char *registry, struct srsd_error *error)
{
	const char *why;

	srsd_error_clear(error);
	if (registry == NULL)
		return srsd_fail(
			error, SRSD_BAD_ARGUMENT, "no registry path is given; write /zk_registry/data");
	why = path_fault(registry, strlen(registry));
	if (why != NULL)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "registry path \"%.256s\": %s", registry, why);
	return SRSD_OK;
}

static char *join(const char *one, const char *other)
{
	size_t room = strlen(one) + strlen(other) + 1;
	char *both = malloc(room);

	if (both != NULL)
		snprintf(both, room, "%s%s", one, other);
	return both;
}

enum srsd_status srsd_servers_read(
	const char *servers, const char *registry, struct srsd_servers *out, struct srsd_error *error)
{
	enum srsd_status status = srsd_servers_check(servers, error);
	const char *chroot;

	*out = (struct srsd_servers){0};
	if (status == SRSD_OK)
		status = srsd_registry_check(registry, error);
	if (status == SRSD_OK)
		status = check_list(servers, list_bytes(servers), &out->count, error);
	if (status != SRSD_OK)
		return status;
	chroot = servers + list_bytes(servers);
	out->list = strndup(servers, list_bytes(servers));
	out->root = join(strcmp(chroot, "/") == 0 ? "" : chroot, strcmp(registry, "/") == 0 ? "" : registry);
	if (out->list == NULL || out->root == NULL) {
		srsd_servers_clear(out);
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the list of servers");
	}
	return SRSD_OK;
}

void srsd_servers_clear(struct srsd_servers *servers)
{
	free(servers->list);
	free(servers->root);
	*servers = (struct srsd_servers){0};
}
