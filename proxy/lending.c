/* lending - places for connections, between workers (see lending.h). */
#include "lending.h"

#include "upstream/pool.h"

static bool lending_pass(const struct lending *lending, struct backend *backend, uint32_t asker)
{
	uint32_t next = (lending->worker + 1) % lending->worker_count;
	return mailbox_post_backend(lending->mailboxes[next], MESSAGE_WANTED, asker, backend_ref(backend));
}

static bool lending_ask(void *arg, struct backend *backend)
{
	const struct lending *lending = arg;
	return lending->worker_count > 1 && lending_pass(lending, backend, lending->worker);
}

static void lending_hand_on(void *arg, struct backend *backend, uint32_t worker)
{
	const struct lending *lending = arg;
	/* No memory: it is anybody's, as long as the asker waits its too. */
	if (!mailbox_post_backend(
		    lending->mailboxes[worker], MESSAGE_HANDED_ON, lending->worker, backend_ref(backend)))
		backend_give_place(backend);
}

static const struct upstream_places lending_places = {
	.on_wanted = lending_ask,
	.on_handed_on = lending_hand_on,
};

void lending_init(struct lending *lending, uint32_t worker, uint32_t worker_count,
	struct mailbox *const *mailboxes, struct upstream_shared *upstream)
{
	*lending = (struct lending){.worker = worker, .worker_count = worker_count, .mailboxes = mailboxes};
	upstream->worker = worker;
	upstream->places = &lending_places;
	upstream->places_arg = lending;
}

void lending_on_wanted(struct lending *lending, struct backend *backend, uint32_t asker)
{
	struct pool *pool = backend->shares[lending->worker].pool;
	if (asker == lending->worker) {
		if (pool != NULL)
			pool_note_refusal(pool);
	} else if (pool == NULL || !pool_yield(pool, asker)) {
		/* No memory: the asker asks again in a while. */
		(void)!lending_pass(lending, backend, asker);
	}
	backend_unref(&backend);
}

void lending_on_handed_on(struct lending *lending, struct backend *backend)
{
	struct pool *pool = backend->shares[lending->worker].pool;
	if (pool == NULL || !pool_receive_place(pool))
		backend_give_place(backend);
	backend_unref(&backend);
}
