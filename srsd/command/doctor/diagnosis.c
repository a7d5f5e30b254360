/* diagnosis - judges what was found out about the nodes of a label. Pure. */
#include "srsd/command/doctor/diagnosis.h"

#include "srsd/command/doctor/canonical.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From this share of --children-max on a label is crowded, in per cent. */
#define CROWDED_PERCENT 80

static const struct {
	const char *word;
	const char *meaning;
} kinds[] = {
#define FINDING_ROW(kind, word, meaning) [FINDING_##kind] = {word, meaning},
	FINDINGS(FINDING_ROW)};

const char *finding_word(enum finding_kind kind)
{
	return kinds[kind].word;
}

const char *finding_meaning(enum finding_kind kind)
{
	return kinds[kind].meaning;
}

bool finding_parse(const char *word, size_t bytes, enum finding_kind *out)
{
	for (int kind = 0; kind < FINDING_KINDS; kind++) {
		if (strncmp(kinds[kind].word, word, bytes) == 0 && kinds[kind].word[bytes] == '\0') {
			*out = (enum finding_kind)kind;
			return true;
		}
	}
	return false;
}

struct diagnosis {
	const struct evidence *evidence;
	struct findings *findings;
	bool is_short; /* of memory */
};

static void __attribute__((format(printf, 4, 5)))
find(struct diagnosis *diagnosis, enum finding_kind kind, size_t subject, const char *format, ...)
{
	struct findings *findings = diagnosis->findings;
	va_list arguments;

	if (diagnosis->is_short || (diagnosis->evidence->ignored & (1U << kind)) != 0)
		return;
	if (findings->count == findings->room) {
		size_t room = findings->room == 0 ? 16 : findings->room * 2;
		struct finding *items = reallocarray(findings->items, room, sizeof(*items));

		if (items == NULL) {
			diagnosis->is_short = true;
			return;
		}
		findings->items = items;
		findings->room = room;
	}
	struct finding *finding = &findings->items[findings->count++];
	finding->kind = kind;
	finding->subject = subject;
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
	va_end(arguments);
}

/* "1.5 s", "30 s" */
static const char *seconds(uint32_t ms, char out[16])
{
	snprintf(out, 16, ms % 1000 == 0 ? "%u s" : "%u.%03u s", ms / 1000, ms % 1000);
	return out;
}

/* ---- The label ------------------------------------------------------------------------------- */

static void judge_label(struct diagnosis *diagnosis)
{
	const struct evidence *evidence = diagnosis->evidence;
	char least[16];

	if (evidence->count == 0)
		find(diagnosis, FINDING_EMPTY, FINDING_OF_LABEL,
			"nobody is registered under it; is its name right, and --registry?");
	if (evidence->count > evidence->children_max)
		find(diagnosis, FINDING_CROWDED, FINDING_OF_LABEL,
			"%zu nodes are more than %zu: whoever has that limit keeps an old set",
			evidence->count, evidence->children_max);
	else if (evidence->count > evidence->children_max / 100 * CROWDED_PERCENT +
					   evidence->children_max % 100 * CROWDED_PERCENT / 100)
		find(diagnosis, FINDING_CROWDED, FINDING_OF_LABEL,
			"%zu nodes are near the limit of %zu, above which an old set is kept",
			evidence->count, evidence->children_max);
	if (evidence->session_least_ms > evidence->slow_ms)
		find(diagnosis, FINDING_SLOW_BOUNDS, FINDING_OF_LABEL,
			"the server gives no session less than %s; lower its minSessionTimeout or tickTime",
			seconds(evidence->session_least_ms, least));
}

/* ---- Duplicates ------------------------------------------------------------------------------ */

struct spelling {
	char address[SRSD_ADDRESS_MAX]; /* canonical */
	size_t subject;
};

static int by_address(const void *one, const void *other)
{
	const struct spelling *a = one, *b = other;
	int order = strcmp(a->address, b->address);

	return order != 0 ? order : (a->subject > b->subject) - (a->subject < b->subject);
}

/* The address in its one spelling; that of a host name, where it was looked up and stands for one address, is
 * that address. */
static void write_spelling(const struct subject *subject, char *out)
{
	struct srsd_address address = subject->address;
	const struct contact *contact = subject->contact;

	if (address.kind == SRSD_HOST_NAME && contact != NULL && contact->found_count == 1) {
		address.kind = SRSD_HOST_IPV6;
		inet_ntop(AF_INET6, &contact->found[0], address.host, sizeof(address.host));
	}
	canonical_address(&address);
	srsd_address_format(&address, out, SRSD_ADDRESS_MAX);
}

/* Each but the first of those with one address. */
static void report_group(struct diagnosis *diagnosis, const struct spelling *first, size_t count)
{
	const struct subject *subjects = diagnosis->evidence->subjects;

	for (size_t i = 1; i < count; i++)
		find(diagnosis, FINDING_DUPLICATE, first[i].subject,
			"the same address as %s: its backend gets a share of the requests for each",
			subjects[first->subject].name);
}

static void judge_duplicates(struct diagnosis *diagnosis)
{
	const struct evidence *evidence = diagnosis->evidence;
	struct spelling *spellings = calloc(evidence->count + 1, sizeof(*spellings));
	size_t count = 0;

	if (spellings == NULL) {
		diagnosis->is_short = true;
		return;
	}
	for (size_t i = 0; i < evidence->count; i++) {
		if (evidence->subjects[i].fault != NULL)
			continue;
		write_spelling(&evidence->subjects[i], spellings[count].address);
		spellings[count++].subject = i;
	}
	qsort(spellings, count, sizeof(*spellings), by_address);
	for (size_t i = 0, first = 0; i < count; i++) {
		if (i + 1 < count && strcmp(spellings[first].address, spellings[i + 1].address) == 0)
			continue;
		report_group(diagnosis, &spellings[first], i + 1 - first);
		first = i + 1;
	}
	free(spellings);
}

/* ---- A node ---------------------------------------------------------------------------------- */

/* How the host of a node's address stands to the address that its owner is connected from. Over IPv4 a host
 * is not known by its IPv6 addresses, nor the other way round. */
enum nearness { NEAR_NOT_KNOWN, NEAR_SAME, NEAR_OTHER };

static enum nearness compare_hosts(const char *one, const char *other)
{
	if ((strchr(one, ':') == NULL) != (strchr(other, ':') == NULL))
		return NEAR_NOT_KNOWN;
	return strcmp(one, other) == 0 ? NEAR_SAME : NEAR_OTHER;
}

/* A name stands for all of its addresses, where it was looked up. */
static enum nearness compare_name(const struct contact *contact, const char *host)
{
	enum nearness nearness = NEAR_NOT_KNOWN;
	char found[INET6_ADDRSTRLEN], canonical[SRSD_HOST_MAX + 1];

	for (size_t i = 0; contact != NULL && i < contact->found_count; i++) {
		inet_ntop(AF_INET6, &contact->found[i], found, sizeof(found));
		if (!canonical_host(found, canonical))
			continue;
		enum nearness next = compare_hosts(canonical, host);
		if (next == NEAR_SAME)
			return NEAR_SAME;
		if (next == NEAR_OTHER)
			nearness = NEAR_OTHER;
	}
	return nearness;
}

static void judge_client(struct diagnosis *diagnosis, size_t index, const struct client *client)
{
	const struct subject *subject = &diagnosis->evidence->subjects[index];
	struct srsd_address address = subject->address;

	/* A client on the server's own machine may have any of that machine's addresses. */
	if (subject->fault != NULL || client->host[0] == '\0' || canonical_is_loopback(client->host))
		return;
	canonical_address(&address);
	if (address.kind != SRSD_HOST_NAME && canonical_is_loopback(address.host)) {
		find(diagnosis, FINDING_FOREIGN, index,
			"a loopback address, and its owner is at %s: everybody else reaches himself",
			client->host);
		return;
	}
	enum nearness nearness = address.kind == SRSD_HOST_NAME ? compare_name(subject->contact, client->host)
								: compare_hosts(address.host, client->host);
	if (nearness == NEAR_OTHER)
		find(diagnosis, FINDING_FOREIGN, index, "its owner is connected from %s", client->host);
}

static void judge_owner(struct diagnosis *diagnosis, size_t index)
{
	const struct evidence *evidence = diagnosis->evidence;
	const struct subject *subject = &evidence->subjects[index];
	const struct client *client;
	char timeout[16];

	if (!subject->is_read)
		return;
	/* Above zero it is a session; below, a container or a node with a time to live. */
	if (subject->owner <= 0) {
		find(diagnosis, FINDING_PERSISTENT, index,
			subject->owner == 0 ? "no session owns it: it stays until somebody removes it"
					    : "no session owns it: it does not go with its service");
		return;
	}
	client = clients_find(evidence->clients, subject->owner);
	if (client == NULL) {
		if (evidence->are_clients_complete)
			find(diagnosis, FINDING_ABANDONED, index,
				"its owner is not connected: it goes when the session times out");
		return;
	}
	judge_client(diagnosis, index, client);
	if (client->timeout_ms > evidence->slow_ms)
		find(diagnosis, FINDING_SLOW_SESSION, index,
			"when its owner dies, the node stays for another %s",
			seconds(client->timeout_ms, timeout));
}

static void judge_answer(struct diagnosis *diagnosis, size_t index)
{
	const struct contact *contact = diagnosis->evidence->subjects[index].contact;

	/* What failed on our side says nothing of it. */
	if (contact != NULL && contact->outcome != DIAL_CONNECTED && contact->outcome != DIAL_FAILED)
		find(diagnosis, FINDING_NOT_ANSWERING, index, "%s", contact->why);
}

static int by_kind(const void *one, const void *other)
{
	const struct finding *a = one, *b = other;

	if (a->kind != b->kind)
		return (a->kind > b->kind) - (a->kind < b->kind);
	return (a->subject > b->subject) - (a->subject < b->subject);
}

bool diagnose(const struct evidence *evidence, struct findings *findings)
{
	struct diagnosis diagnosis = {.evidence = evidence, .findings = findings};

	*findings = (struct findings){0};
	judge_label(&diagnosis);
	judge_duplicates(&diagnosis);
	for (size_t i = 0; i < evidence->count; i++) {
		if (evidence->subjects[i].fault != NULL)
			find(&diagnosis, FINDING_UNUSABLE, i, "%s", evidence->subjects[i].fault);
		judge_owner(&diagnosis, i);
		judge_answer(&diagnosis, i);
	}
	if (findings->count > 1)
		qsort(findings->items, findings->count, sizeof(*findings->items), by_kind);
	return !diagnosis.is_short;
}

void findings_clear(struct findings *findings)
{
	free(findings->items);
	*findings = (struct findings){0};
}
