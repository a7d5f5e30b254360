/* crowd - counts connections against their limits (see crowd.h). */
#include "downstream/crowd.h"

#include "base/network.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

/* Workers seldom meet in one of so many parts. */
#define CROWD_PARTS 64

/* Chains of one part: short ones with 64 thousand clients, at 8 bytes each. */
#define CROWD_CHAINS 256

/* Who counts as one client. */
struct crowd_key {
	uint64_t bits; /* an IPv4 address, or an IPv6 address's first half */
	bool is_ipv4;
};

struct crowd_client {
	LIST_ENTRY(crowd_client) link;
	struct crowd_key key;
	uint64_t count;
};

LIST_HEAD(crowd_chain, crowd_client);

struct crowd_part {
	_Alignas(64) pthread_mutex_t lock;
	struct crowd_chain chains[CROWD_CHAINS];
};

struct crowd_table {
	uint64_t seed; /* nobody outside can choose addresses that meet in one chain */
	struct crowd_part parts[CROWD_PARTS];
};

static struct crowd_table *table_new(void)
{
	struct crowd_table *table = aligned_alloc(_Alignof(struct crowd_table), sizeof(*table));
	if (table == NULL)
		return NULL;
	memset(table, 0, sizeof(*table));
	if (getrandom(&table->seed, sizeof(table->seed), 0) != sizeof(table->seed)) {
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < CROWD_PARTS; i++)
		pthread_mutex_init(&table->parts[i].lock, NULL); /* it cannot fail on Linux */
	return table;
}

bool crowd_init(struct crowd *crowd, uint64_t open_max, uint64_t per_client_max)
{
	*crowd = (struct crowd){.open_max = open_max, .per_client_max = per_client_max};
	if (per_client_max == 0)
		return true;
	crowd->table = table_new();
	return crowd->table != NULL;
}

void crowd_finish(struct crowd *crowd)
{
	struct crowd_table *table = crowd->table;
	for (size_t i = 0; table != NULL && i < CROWD_PARTS; i++) {
		for (size_t chain = 0; chain < CROWD_CHAINS; chain++)
			assert(LIST_EMPTY(&table->parts[i].chains[chain]));
		pthread_mutex_destroy(&table->parts[i].lock);
	}
	free(table);
	crowd->table = NULL;
}

bool crowd_enter(struct crowd *crowd)
{
	uint64_t others = atomic_fetch_add_explicit(&crowd->open, 1, memory_order_relaxed);
	if (others < crowd->open_max)
		return true;
	crowd_leave(crowd);
	return false;
}

void crowd_leave(struct crowd *crowd)
{
	atomic_fetch_sub_explicit(&crowd->open, 1, memory_order_relaxed);
}

/* ---- By client ------------------------------------------------------------------------------- */

static struct crowd_key key_of(const struct network *address)
{
	struct crowd_key key = {.is_ipv4 = address->address_bits == 32};
	memcpy(&key.bits, address->address, key.is_ipv4 ? 4 : sizeof(key.bits));
	return key;
}

static bool key_equal(struct crowd_key a, struct crowd_key b)
{
	return a.bits == b.bits && a.is_ipv4 == b.is_ipv4;
}

/* Every bit of the key and of the seed moves every bit of the outcome (the finalizer of MurmurHash3, twice).
 */
static uint64_t key_hash(struct crowd_key key, uint64_t seed)
{
	uint64_t hash = key.bits ^ seed;
	for (int round = 0; round < 2; round++) {
		hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
		hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
		hash = (hash ^ (hash >> 33)) + seed + key.is_ipv4;
	}
	return hash;
}

/* Where a client's count stands: one chain of one part. */
struct crowd_place {
	struct crowd_part *part;
	struct crowd_chain *chain;
};

static struct crowd_place place_of(struct crowd *crowd, struct crowd_key key)
{
	uint64_t hash = key_hash(key, crowd->table->seed);
	struct crowd_part *part = &crowd->table->parts[hash % CROWD_PARTS];
	return (struct crowd_place){part, &part->chains[hash / CROWD_PARTS % CROWD_CHAINS]};
}

/* The client's count, or NULL. */
static struct crowd_client *client_find(struct crowd_place place, struct crowd_key key)
{
	struct crowd_client *client;
	LIST_FOREACH (client, place.chain, link)
		if (key_equal(client->key, key))
			return client;
	return NULL;
}

/* A count of it, which is not there yet; NULL without memory. */
static struct crowd_client *client_new(struct crowd_place place, struct crowd_key key)
{
	struct crowd_client *client = malloc(sizeof(*client));
	if (client == NULL)
		return NULL;
	*client = (struct crowd_client){.key = key};
	LIST_INSERT_HEAD(place.chain, client, link);
	return client;
}

enum problem crowd_client_enter(struct crowd *crowd, const struct network *address)
{
	struct crowd_key key = key_of(address);
	struct crowd_place place = place_of(crowd, key);
	enum problem problem = PROBLEM_NONE;
	pthread_mutex_lock(&place.part->lock);
	struct crowd_client *client = client_find(place, key);
	if (client == NULL)
		client = client_new(place, key);
	if (client == NULL)
		problem = PROBLEM_NO_MEMORY;
	else if (client->count >= crowd->per_client_max)
		problem = PROBLEM_CLIENT_LIMIT;
	else
		client->count++;
	pthread_mutex_unlock(&place.part->lock);
	return problem;
}

void crowd_client_leave(struct crowd *crowd, const struct network *address)
{
	struct crowd_key key = key_of(address);
	struct crowd_place place = place_of(crowd, key);
	pthread_mutex_lock(&place.part->lock);
	struct crowd_client *client = client_find(place, key);
	assert(client != NULL);
	bool is_last = --client->count == 0;
	if (is_last)
		LIST_REMOVE(client, link);
	pthread_mutex_unlock(&place.part->lock);
	if (is_last)
		free(client);
}
