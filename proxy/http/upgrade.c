/* upgrade - offers and answers of Upgrade (see upgrade.h). Owns nothing. */
#include "http/upgrade.h"

static bool is_allowed(struct str protocol, const char *const *allowed)
{
	for (; *allowed != NULL; allowed++)
		if (str_equal_nocase(protocol, str_of(*allowed)))
			return true;
	return false;
}

static bool is_upgrade(const struct http_head *head)
{
	return http_has(head, HTTP_FIELD_UPGRADE) && (head->connection & HTTP_CONNECTION_UPGRADE) != 0;
}

size_t http_upgrade_offer(const struct http_head *head, const char *const *allowed, char *out, size_t size)
{
	size_t written = 0;
	if (!is_upgrade(head) || head->version_minor == 0)
		return 0;
	for (size_t i = head->first[HTTP_FIELD_UPGRADE]; i < head->field_count; i++) {
		struct str list = http_text(head, head->fields[i].value);
		struct str protocol;
		while (head->fields[i].id == HTTP_FIELD_UPGRADE && http_list_next(&list, &protocol)) {
			if (!is_allowed(protocol, allowed))
				continue;
			if (size - written < protocol.bytes + 2)
				return 0;
			if (written > 0) {
				memcpy(out + written, ", ", 2);
				written += 2;
			}
			memcpy(out + written, protocol.at, protocol.bytes);
			written += protocol.bytes;
		}
	}
	return written;
}

static bool is_offered(struct str protocol, struct str offered)
{
	struct str one;
	while (http_list_next(&offered, &one))
		if (str_equal_nocase(one, protocol))
			return true;
	return false;
}

bool http_upgrade_is_answered(const struct http_head *head, struct str offered)
{
	size_t count = 0;
	if (!is_upgrade(head))
		return false;
	for (size_t i = head->first[HTTP_FIELD_UPGRADE]; i < head->field_count; i++) {
		struct str list = http_text(head, head->fields[i].value);
		struct str protocol;
		while (head->fields[i].id == HTTP_FIELD_UPGRADE && http_list_next(&list, &protocol)) {
			if (!is_offered(protocol, offered))
				return false;
			count++;
		}
	}
	return count > 0;
}
