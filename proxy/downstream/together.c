/* together - what is done to all connections of a worker: draining them, closing them, letting idle ones go
 * (see downstream.h). */
#include "base/clock.h"
#include "downstream/internal.h"

#include <string.h>

/* One that has just connected is not let go for this long. */
#define DOWNSTREAM_FRESH_GRACE_MS 1000

/* Connections that one call looks at when it seeks idle ones. */
#define DOWNSTREAM_LET_GO_LOOKS 4096

/* And that it closes. */
#define DOWNSTREAM_LET_GO_MAX 16

/* Has it nothing to do, or nothing yet? */
static bool downstream_is_waiting(const struct downstream *client)
{
	return client->state == DOWNSTREAM_HEADER ||
	       (client->state == DOWNSTREAM_IDLE && client->request->input.memory == NULL &&
		       client->request->output.memory == NULL);
}

void downstream_drain(struct downstream_shared *shared, uint64_t grace_ms)
{
	shared->is_draining = true;
	shared->drain_grace_ms = grace_ms;
	struct downstream *client = TAILQ_FIRST(&shared->open);
	while (client != NULL) {
		struct downstream *next = TAILQ_NEXT(client, link);
		if (downstream_is_waiting(client)) {
			if (client->is_fresh || !stream_is_quiet(&client->stream))
				downstream_arm(client);
			else
				downstream_close(client);
		} else if (client->state == DOWNSTREAM_LINGER) {
			downstream_limit_linger(client);
		}
		client = next;
	}
}

void downstream_close_all(struct downstream_shared *shared)
{
	struct downstream *client;
	while ((client = TAILQ_FIRST(&shared->open)) != NULL)
		downstream_lose(client);
}

/* How long it has been waiting, as its timer tells, which was set when that began: a tick more or less. */
static uint64_t downstream_waiting_ms(const struct downstream *client)
{
	const struct downstream_timeouts *timeouts = &client->shared->timeouts;
	uint64_t wait_ms = client->is_fresh ? timeouts->request_head_ms : timeouts->idle_ms;
	uint64_t ended_ms = clock_coarse_ms() + wait_ms;
	uint64_t deadline_ms = wheel_deadline_ms(&client->shared->loop->wheel, &client->timer);
	return ended_ms > deadline_ms ? ended_ms - deadline_ms : 0;
}

/* May it go when room is needed? One that has only just connected is about to ask. */
static bool downstream_may_go(const struct downstream *client)
{
	if (!downstream_is_waiting(client) || client->stream.is_readable)
		return false;
	return !client->is_fresh || downstream_waiting_ms(client) >= DOWNSTREAM_FRESH_GRACE_MS;
}

/* Put it among the ones that have waited longest, in that order. Returns how many there are. */
static size_t downstream_rank(
	struct downstream **longest, size_t count, size_t count_max, struct downstream *client)
{
	size_t at = count;
	while (at > 0 && downstream_waiting_ms(longest[at - 1]) < downstream_waiting_ms(client))
		at--;
	if (at == count_max)
		return count;
	if (count < count_max)
		count++;
	memmove(&longest[at + 1], &longest[at], (count - 1 - at) * sizeof(*longest));
	longest[at] = client;
	return count;
}

/* Who was looked at goes to the end of the line, so that the next call looks at others. */
size_t downstream_let_go(struct downstream_shared *shared, size_t count_max)
{
	struct downstream *longest[DOWNSTREAM_LET_GO_MAX];
	struct downstream *client = TAILQ_FIRST(&shared->open);
	const struct downstream *last = TAILQ_LAST(&shared->open, downstream_list);
	size_t count = 0;
	if (count_max > DOWNSTREAM_LET_GO_MAX)
		count_max = DOWNSTREAM_LET_GO_MAX;
	for (int looked_at = 0; client != NULL && looked_at < DOWNSTREAM_LET_GO_LOOKS; looked_at++) {
		struct downstream *next = client != last ? TAILQ_NEXT(client, link) : NULL;
		TAILQ_REMOVE(&shared->open, client, link);
		TAILQ_INSERT_TAIL(&shared->open, client, link);
		if (downstream_may_go(client))
			count = downstream_rank(longest, count, count_max, client);
		client = next;
	}
	size_t closed = 0;
	for (size_t i = 0; i < count; i++) {
		/* A request may have come that the loop has not told of. */
		if (!stream_is_quiet(&longest[i]->stream))
			continue;
		downstream_close(longest[i]);
		closed++;
	}
	return closed;
}
