/* asker - believes trusted proxies, and nobody else (see asker.h). */
#include "exchange/asker.h"

#include <string.h>

/* One element of X-Forwarded-For: an address, without port. */
static bool asker_read(struct str element, struct network *address)
{
	char text[NETWORK_TEXT_MAX];
	if (element.bytes == 0 || element.bytes >= sizeof(text) ||
		memchr(element.at, '/', element.bytes) != NULL)
		return false;
	memcpy(text, element.at, element.bytes);
	text[element.bytes] = '\0';
	return network_parse(text, address) == NETWORK_GOOD;
}

/* Take the last element off a list. False: there is none left. */
static bool asker_take_last(struct str *list, struct str *element)
{
	while (list->bytes > 0) {
		const char *comma = memrchr(list->at, ',', list->bytes);
		const char *at = comma != NULL ? comma + 1 : list->at;
		const char *end = list->at + list->bytes;
		list->bytes = comma != NULL ? (size_t)(comma - list->at) : 0;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		*element = (struct str){at, (size_t)(end - at)};
		if (element->bytes > 0)
			return true;
	}
	return false;
}

/* Each proxy adds its peer at the end: go back until one is not a trusted one. */
static bool asker_walk_back(
	const struct downstream_shared *shared, const struct http_head *head, struct network *asker)
{
	struct str element;
	for (size_t i = head->field_count; i > 0; i--) {
		const struct http_field *field = &head->fields[i - 1];
		struct str list = http_text(head, field->value);
		if (field->id != HTTP_FIELD_X_FORWARDED_FOR)
			continue;
		while (asker_take_last(&list, &element)) {
			if (!asker_read(element, asker))
				return false;
			if (!networks_have(shared->trusted, shared->trusted_count, asker))
				return true;
		}
	}
	return true; /* a trusted one itself asks */
}

bool asker_find(const struct downstream *client, const struct http_head *head, struct network *asker)
{
	const struct downstream_shared *shared = client->shared;
	bool is_forwarded =
		http_has(head, HTTP_FIELD_X_FORWARDED_FOR) || http_has(head, HTTP_FIELD_FORWARDED);
	if (!downstream_network(client, asker))
		return false;
	if (LIKELY(!is_forwarded))
		return true;
	if (shared->trusted == NULL)
		return false; /* every peer's word is passed on; that is not to say that it is true */
	if (!client->is_trusted)
		return true;
	return http_has(head, HTTP_FIELD_X_FORWARDED_FOR) && asker_walk_back(shared, head, asker);
}
