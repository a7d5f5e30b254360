/* settings - loads and frees the configuration: file -> tree -> overrides -> struct -> checks. */
#include "config/settings.h"

#include "config/complaints.h"
#include "config/override.h"
#include "config/settings_check.h"
#include "config/settings_read.h"
#include "config/settings_table.h"
#include "config/yaml_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

static void free_scope(const char *prefix, void *base);

/* Free what one key holds: its text, its list of texts, or its items with what they hold. */
static void free_key(const struct settings_key *key, void *base)
{
	void *pointer = NULL;
	size_t count = 0;
	struct settings_prefix prefix = settings_key_prefix(key);
	switch (key->type) {
	case SETTINGS_SECTION:
		free_scope(prefix.text, base);
		return;
	case SETTINGS_TEXT:
	case SETTINGS_NAME:
		memcpy(&pointer, settings_key_at(key, base), sizeof(pointer));
		break;
	case SETTINGS_TEXTS:
	case SETTINGS_ITEMS:
		memcpy(&pointer, settings_key_at(key, base), sizeof(pointer));
		memcpy(&count, (char *)base + key->count_offset, sizeof(count));
		break;
	default:
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (key->type == SETTINGS_ITEMS)
			free_scope(prefix.text, (char *)pointer + i * key->item_bytes);
		else
			free(((char **)pointer)[i]);
	}
	free(pointer);
}

static void free_scope(const char *prefix, void *base)
{
	const struct settings_key *key = NULL;
	while ((key = settings_key_next(prefix, key)) != NULL)
		free_key(key, base);
}

void settings_free(struct settings **settings)
{
	if (*settings != NULL)
		free_scope("", *settings);
	free(*settings);
	*settings = NULL;
}

/* What a service does not say of its own is said for all. */
static void inherit_timeouts(struct settings *settings)
{
#define INHERIT(member)                                                                                      \
	if (own->member == 0)                                                                                \
	own->member = all->member
	const struct timeout_settings *all = &settings->timeouts;
	for (size_t i = 0; i < settings->service_count; i++) {
		struct service_timeout_settings *own = &settings->services[i].timeouts;
		INHERIT(request_body_ms);
		INHERIT(connect_ms);
		INHERIT(response_head_ms);
		INHERIT(response_body_ms);
		INHERIT(upstream_idle_ms);
		INHERIT(tunnel_idle_ms);
		INHERIT(queue_ms);
		INHERIT(request_ms);
	}
#undef INHERIT
}

/* Read, override, fill and check; NULL or incomplete where there are complaints. */
static struct settings *build(const char *name, const char *text, size_t bytes, const char *const *overrides,
	size_t override_count, struct complaints *complaints)
{
	struct value *root = yaml_read(name, text, bytes, complaints);
	if (root == NULL)
		return NULL;
	for (size_t i = 0; i < override_count; i++)
		override_apply(root, overrides[i], complaints);
	struct settings *settings = calloc(1, sizeof(*settings));
	if (settings != NULL) {
		settings_read(root, settings, complaints);
		settings_check(root, complaints);
		inherit_timeouts(settings);
	} else {
		complaints->is_out_of_memory = true;
	}
	value_free(&root);
	return settings;
}

/* Tell all complaints and let go of them. errno says what kind they were. */
static void tell_and_clear(
	struct complaints *complaints, const char *name, settings_complain_fn *complain, void *arg)
{
	int error = complaints->is_out_of_memory ? ENOMEM : EINVAL;
	complaints_tell(complaints, name, complain, arg);
	complaints_clear(complaints);
	errno = error;
}

struct settings *settings_load_text(const char *name, const char *text, size_t bytes,
	const char *const *overrides, size_t override_count, settings_complain_fn *complain, void *arg)
{
	struct complaints complaints = {0};
	struct settings *settings = build(name, text, bytes, overrides, override_count, &complaints);
	if (complaints_any(&complaints)) {
		settings_free(&settings);
		tell_and_clear(&complaints, name, complain, arg);
	}
	return settings;
}

/* Read up to FILE_BYTES_MAX + 1 bytes into `out`. False: errno says why. */
static bool read_all(int descriptor, char *out, size_t *bytes)
{
	*bytes = 0;
	while (*bytes <= FILE_BYTES_MAX) {
		ssize_t got = read(descriptor, out + *bytes, FILE_BYTES_MAX + 1 - *bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		*bytes += (size_t)got;
	}
	return true;
}

/* What to do about a file that cannot be read. */
static const char *file_advice(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return "check the path";
	case EACCES:
	case EPERM:
		return "let this user read it";
	case EISDIR:
		return "give a file";
	default:
		return "check the file";
	}
}

/* The file's text, which the caller frees. NULL: said. */
static char *read_file(const char *path, size_t *bytes, struct complaints *complaints)
{
	struct place place = {.origin = path, .line = 1, .column = 1};
	char *text = NULL;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor >= 0)
		text = malloc(FILE_BYTES_MAX + 1);
	if (descriptor >= 0 && text == NULL) {
		complaints->is_out_of_memory = true;
	} else if (descriptor < 0 || !read_all(descriptor, text, bytes)) {
		int error = errno;
		complaints_add(
			complaints, place, "cannot be read: %s, %s", strerror(error), file_advice(error));
	} else if (*bytes > FILE_BYTES_MAX) {
		complaints_add(
			complaints, place, "more than 1 MiB, which no configuration is: give the right file");
	} else {
		close(descriptor);
		return text;
	}
	if (descriptor >= 0)
		close(descriptor);
	free(text);
	return NULL;
}

struct settings *settings_load(const char *path, const char *const *overrides, size_t override_count,
	settings_complain_fn *complain, void *arg)
{
	struct complaints complaints = {0};
	size_t bytes = 0;
	struct settings *settings = NULL;
	char *text = read_file(path, &bytes, &complaints);
	if (text == NULL) {
		tell_and_clear(&complaints, path, complain, arg);
		return NULL;
	}
	settings = settings_load_text(path, text, bytes, overrides, override_count, complain, arg);
	int error = errno;
	free(text);
	errno = error;
	return settings;
}
