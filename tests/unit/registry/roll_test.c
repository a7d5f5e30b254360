/* roll_test - the members of a snapshot by their addresses: in order, each once, the newest node of each. */
#include "registry/roll.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "srsd/node/node.h"
#include "srsd/node/snapshot.h"

#define NODES_MAX 2000

static struct srsd_node nodes[NODES_MAX];
static char names[NODES_MAX][32];
static char data[NODES_MAX][80];
static size_t node_count;
static struct srsd_snapshot *snapshot;

static void start(void)
{
	node_count = 0;
}

static void finish(void)
{
	srsd_snapshot_unref(&snapshot);
}

TestSuite(roll, .init = start, .fini = finish);

static void add_node(const char *name, const char *host, unsigned port, int64_t created_ms)
{
	size_t i = node_count++;
	snprintf(names[i], sizeof(names[i]), "%s", name);
	snprintf(data[i], sizeof(data[i]), "{\"host\":\"%s\",\"port\":%u}", host, port);
	nodes[i] = (struct srsd_node){.name = names[i],
		.data = data[i],
		.data_bytes = strlen(data[i]),
		.created_ms = created_ms,
		.is_read = true};
}

static struct roll read_roll(void)
{
	static const struct srsd_read_options options = {.format = SRSD_FORMAT_SMARTSTACK};
	struct roll roll;
	snapshot = srsd_snapshot_build(nodes, node_count, &options, NULL, 1);
	cr_assert_not_null(snapshot);
	cr_assert_eq(srsd_snapshot_count(snapshot), node_count);
	cr_assert(roll_init(&roll, snapshot, options.format));
	return roll;
}

static void expect_entry(const struct roll *roll, size_t index, const char *name, const char *node)
{
	cr_assert_lt(index, roll->count);
	cr_expect_str_eq(roll->entries[index].name, name);
	cr_expect_str_eq(srsd_endpoint_name(roll->entries[index].endpoint), node);
}

Test(roll, is_in_the_order_of_addresses_not_of_nodes)
{
	add_node("a_0000000001", "192.0.2.9", 80, 1);
	add_node("b_0000000002", "2001:db8::1", 80, 2);
	add_node("c_0000000003", "192.0.2.10", 80, 3);
	add_node("d_0000000004", "192.0.2.10", 8, 4);
	struct roll roll = read_roll();
	cr_expect_eq(roll.count, 4);
	expect_entry(&roll, 0, "192.0.2.10:8", "d_0000000004");
	expect_entry(&roll, 1, "192.0.2.10:80", "c_0000000003");
	expect_entry(&roll, 2, "192.0.2.9:80", "a_0000000001");
	expect_entry(&roll, 3, "[2001:db8::1]:80", "b_0000000002");
	roll_finish(&roll);
}

/* A service that came back while the node of its former session still stands. */
Test(roll, has_an_address_once_by_its_newest_node)
{
	add_node("z_0000000001", "h", 80, 1000);
	add_node("a_0000000002", "h", 80, 3000);
	add_node("m_0000000003", "h", 80, 2000);
	add_node("x_0000000004", "i", 80, 500);
	add_node("x_0000000005", "i", 80, 500);
	struct roll roll = read_roll();
	cr_expect_eq(roll.count, 2);
	expect_entry(&roll, 0, "h:80", "a_0000000002");
	expect_entry(&roll, 1, "i:80", "x_0000000005");
	roll_finish(&roll);
}

Test(roll, may_be_empty_or_long)
{
	struct roll roll = read_roll();
	cr_expect_eq(roll.count, 0);
	roll_finish(&roll);
	srsd_snapshot_unref(&snapshot);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		char name[32], host[32];
		snprintf(name, sizeof(name), "%010u", i * 7 % NODES_MAX);
		snprintf(host, sizeof(host), "10.0.%u.%u", i % 1000 / 250, i % 250);
		add_node(name, host, 80, i);
	}
	roll = read_roll();
	cr_expect_eq(roll.count, 1000, "each address has two nodes");
	for (size_t i = 1; i < roll.count; i++)
		cr_assert_lt(strcmp(roll.entries[i - 1].name, roll.entries[i].name), 0);
	for (size_t i = 0; i < roll.count; i++)
		cr_assert_geq(srsd_endpoint_created_ms(roll.entries[i].endpoint), 1000, "the newer one");
	roll_finish(&roll);
}

Test(roll, is_as_the_snapshot_is_where_names_are_addresses)
{
	static const char *const addresses[] = {"b:1", "a:1", "[::1]:80"};
	struct roll roll;
	cr_assert_eq(srsd_snapshot_from_names(addresses, 3, &snapshot, NULL), SRSD_OK);
	cr_assert(roll_init(&roll, snapshot, SRSD_FORMAT_NAME));
	cr_expect_eq(roll.count, 3);
	expect_entry(&roll, 0, "[::1]:80", "[::1]:80");
	expect_entry(&roll, 1, "a:1", "a:1");
	expect_entry(&roll, 2, "b:1", "b:1");
	roll_finish(&roll);
}
