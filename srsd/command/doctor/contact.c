/* contact - connects to many addresses, a bounded number at a time. It owns its dials. */
#include "srsd/command/doctor/contact.h"

#include "srsd/command/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are left to everybody else: the session, the questions, the look-up of names. */
#define DESCRIPTORS_RESERVED 64

struct rounds {
	struct dialler *dialler;
	struct contact *contacts; /* borrowed */
	size_t count;
	size_t next;
	size_t done;
	uint32_t timeout_ms;
	contact_fn *on_progress;
	void *arg;
	size_t at_a_time;
	struct slot {
		struct dial dial;
		struct rounds *rounds;
		struct contact *contact; /* NULL: free */
		uint64_t started_ms;
	} slots[];
};

static void keep_found(struct contact *contact, const struct dial *dial)
{
	contact->found_count = 0;
	if (contact->address.kind != SRSD_HOST_NAME)
		return;
	for (size_t i = 0; i < dial->candidate_count; i++) {
		const struct sockaddr_storage *candidate = &dial->candidates[i];
		struct in6_addr *found = &contact->found[contact->found_count++];

		if (candidate->ss_family == AF_INET6) {
			*found = ((const struct sockaddr_in6 *)candidate)->sin6_addr;
			continue;
		}
		*found = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
		memcpy(&found->s6_addr[12], &((const struct sockaddr_in *)candidate)->sin_addr, 4);
	}
}

static void start_next(struct slot *slot);

static void on_dialled(void *arg, enum dial_outcome outcome, int fd, const char *why)
{
	struct slot *slot = arg;
	struct rounds *rounds = slot->rounds;

	if (fd >= 0)
		close(fd);
	slot->contact->outcome = outcome;
	slot->contact->took_ms = (uint32_t)(clock_ms() - slot->started_ms);
	keep_found(slot->contact, &slot->dial);
	snprintf(slot->contact->why, sizeof(slot->contact->why), "%s", why);
	rounds->done++;
	start_next(slot);
	rounds->on_progress(rounds->arg, rounds->done);
}

static void start_next(struct slot *slot)
{
	struct rounds *rounds = slot->rounds;

	slot->contact = NULL;
	if (rounds->next == rounds->count)
		return;
	slot->contact = &rounds->contacts[rounds->next++];
	slot->started_ms = clock_ms();
	dial_start(
		&slot->dial, rounds->dialler, &slot->contact->address, rounds->timeout_ms, on_dialled, slot);
}

/* As many as there may be descriptors; the soft limit is raised to the hard one. */
static size_t affordable(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1;
	if (limit.rlim_cur < limit.rlim_max &&
		limit.rlim_cur < CONTACT_AT_A_TIME_MAX + DESCRIPTORS_RESERVED) {
		limit.rlim_cur = limit.rlim_max < CONTACT_AT_A_TIME_MAX + DESCRIPTORS_RESERVED
					 ? limit.rlim_max
					 : CONTACT_AT_A_TIME_MAX + DESCRIPTORS_RESERVED;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 1;
	}
	if (limit.rlim_cur <= DESCRIPTORS_RESERVED)
		return 1;
	return limit.rlim_cur - DESCRIPTORS_RESERVED;
}

struct rounds *rounds_start(struct dialler *dialler, struct contact *contacts, size_t count,
	uint32_t timeout_ms, contact_fn *on_progress, void *arg)
{
	size_t at_a_time = affordable();
	struct rounds *rounds;

	if (at_a_time > CONTACT_AT_A_TIME_MAX)
		at_a_time = CONTACT_AT_A_TIME_MAX;
	if (at_a_time > count)
		at_a_time = count;
	if (count == 0)
		return NULL;
	rounds = calloc(1, sizeof(*rounds) + at_a_time * sizeof(rounds->slots[0]));
	if (rounds == NULL)
		return NULL;
	rounds->dialler = dialler;
	rounds->contacts = contacts;
	rounds->count = count;
	rounds->timeout_ms = timeout_ms;
	rounds->on_progress = on_progress;
	rounds->arg = arg;
	rounds->at_a_time = at_a_time;
	for (size_t i = 0; i < at_a_time; i++) {
		rounds->slots[i].rounds = rounds;
		start_next(&rounds->slots[i]);
	}
	return rounds;
}

void rounds_free(struct rounds *rounds)
{
	free(rounds);
}
