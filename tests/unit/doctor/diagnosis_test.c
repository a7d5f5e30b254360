/* diagnosis_test - each finding comes from its evidence, and only from that. */
#include "srsd/command/doctor/diagnosis.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#define SUBJECTS_MAX 8

static struct subject subjects[SUBJECTS_MAX];
static struct contact contacts[SUBJECTS_MAX];
static struct client sessions[2];
static struct clients clients;
static struct evidence evidence;
static struct findings findings;

/* A registry in which all is well: one node that its session holds, from where it says. */
static void begin(void)
{
	memset(subjects, 0, sizeof(subjects));
	memset(contacts, 0, sizeof(contacts));
	sessions[0] = (struct client){.session = 0x10, .timeout_ms = 10000, .host = "192.0.2.1"};
	sessions[1] = (struct client){.session = 0x20, .timeout_ms = 10000, .host = "127.0.0.1"};
	clients = (struct clients){.items = sessions, .count = 2};
	evidence = (struct evidence){.subjects = subjects,
		.children_max = 1000,
		.slow_ms = 15000,
		.session_least_ms = 4000,
		.clients = &clients,
		.are_clients_complete = true};
	findings = (struct findings){0};
}

static struct subject *add(const char *name)
{
	struct subject *subject = &subjects[evidence.count++];

	*subject = (struct subject){.name = name, .is_read = true, .owner = 0x10, .created_ms = 1};
	if (srsd_address_parse(name, strlen(name), &subject->address, &subject->fault) == SRSD_OK)
		subject->fault = NULL;
	return subject;
}

static void expect_count(size_t count)
{
	findings_clear(&findings);
	cr_assert(diagnose(&evidence, &findings));
	cr_assert_eq(findings.count, count, "%zu findings, the first is %s: %s", findings.count,
		findings.count == 0 ? "-" : finding_word(findings.items[0].kind),
		findings.count == 0 ? "-" : findings.items[0].text);
}

/* There is exactly one, that one. */
static void expect(enum finding_kind kind, size_t subject, const char *text)
{
	expect_count(1);
	cr_assert_eq(findings.items[0].kind, kind, "%s", finding_word(findings.items[0].kind));
	cr_assert_eq(findings.items[0].subject, subject);
	cr_assert_not_null(strstr(findings.items[0].text, text), "%s", findings.items[0].text);
	findings_clear(&findings);
	evidence.ignored = 1U << kind;
	expect_count(0);
	evidence.ignored = 0;
}

TestSuite(diagnosis, .init = begin);

Test(diagnosis, all_is_well)
{
	add("192.0.2.1:80");
	add("192.0.2.1:81")->contact = &contacts[1];
	expect_count(0);
}

Test(diagnosis, words_are_distinct)
{
	for (int i = 0; i < FINDING_KINDS; i++) {
		cr_assert(strlen(finding_word((enum finding_kind)i)) > 0);
		cr_assert(strlen(finding_meaning((enum finding_kind)i)) > 0);
		for (int j = 0; j < i; j++)
			cr_assert_str_neq(
				finding_word((enum finding_kind)i), finding_word((enum finding_kind)j));
	}
}

Test(diagnosis, empty)
{
	expect(FINDING_EMPTY, FINDING_OF_LABEL, "nobody is registered");
}

Test(diagnosis, crowded)
{
	for (int i = 0; i < 5; i++)
		add("192.0.2.1:80")->address.port = (uint16_t)(i + 1);
	evidence.children_max = 7;
	expect_count(0);
	evidence.children_max = 6;
	expect(FINDING_CROWDED, FINDING_OF_LABEL, "near the limit of 6");
	evidence.children_max = 5;
	expect(FINDING_CROWDED, FINDING_OF_LABEL, "near the limit of 5");
	evidence.children_max = 4;
	expect(FINDING_CROWDED, FINDING_OF_LABEL, "more than 4");
}

Test(diagnosis, slow_bounds)
{
	add("192.0.2.1:80");
	evidence.session_least_ms = 15000;
	expect_count(0);
	evidence.session_least_ms = 20000;
	expect(FINDING_SLOW_BOUNDS, FINDING_OF_LABEL, "less than 20 s");
	evidence.session_least_ms = 0;
	expect_count(0);
}

Test(diagnosis, unusable)
{
	add("192.0.2.1:80");
	add("nonsense");
	expect(FINDING_UNUSABLE, 1, "the port is missing");
}

Test(diagnosis, duplicates)
{
	add("[::1]:80");
	add("192.0.2.1:80");
	add("[0:0:0:0:0:0:0:1]:80");
	add("[::1]:81");
	evidence.ignored = 1U << FINDING_FOREIGN;
	expect_count(1);
	cr_assert_eq(findings.items[0].kind, FINDING_DUPLICATE);
	cr_assert_eq(findings.items[0].subject, 2);
	cr_assert_not_null(strstr(findings.items[0].text, "the same address as [::1]:80:"));
	add("[0::1]:80");
	add("[::ffff:192.0.2.1]:80");
	expect_count(3);
	cr_assert_eq(findings.items[1].subject, 4);
	cr_assert_eq(findings.items[2].subject, 5);
	findings_clear(&findings);
}

Test(diagnosis, duplicate_names)
{
	add("web.example:80");
	add("Web.Example:80");
	add("web.example:8080");
	expect(FINDING_DUPLICATE, 1, "the same address as web.example:80:");
}

/* Where it was looked up and stands for that address alone. */
Test(diagnosis, duplicate_of_a_name_and_its_address)
{
	add("192.0.2.1:80");
	add("web.example:80")->contact = &contacts[0];
	contacts[0].found_count = 2;
	cr_assert_eq(inet_pton(AF_INET6, "::ffff:192.0.2.1", &contacts[0].found[0]), 1);
	expect_count(0);
	contacts[0].found_count = 1;
	expect(FINDING_DUPLICATE, 1, "the same address as 192.0.2.1:80:");
}

/* As where the data of nodes carries addresses. */
Test(diagnosis, duplicates_under_other_names)
{
	add("192.0.2.1:80")->name = "member_0000000001";
	add("192.0.2.1:80")->name = "member_0000000002";
	expect(FINDING_DUPLICATE, 1, "the same address as member_0000000001:");
}

Test(diagnosis, persistent)
{
	add("192.0.2.1:80")->owner = 0;
	expect(FINDING_PERSISTENT, 0, "until somebody removes it");
	subjects[0].owner = INT64_MIN; /* a container */
	expect(FINDING_PERSISTENT, 0, "does not go with its service");
	subjects[0].owner = 0;
	subjects[0].is_read = false;
	expect_count(0);
}

Test(diagnosis, abandoned)
{
	add("192.0.2.1:80")->owner = 0x30;
	expect(FINDING_ABANDONED, 0, "not connected");
	evidence.are_clients_complete = false;
	expect_count(0);
}

Test(diagnosis, foreign)
{
	add("192.0.2.2:80");
	expect(FINDING_FOREIGN, 0, "connected from 192.0.2.1");
	add("127.0.0.1:80");
	evidence.count = 1;
	subjects[0] = subjects[1];
	expect(FINDING_FOREIGN, 0, "a loopback address, and its owner is at 192.0.2.1");
	/* On the server's own machine, which may have that address. */
	subjects[0].owner = 0x20;
	expect_count(0);
	add("192.0.2.9:80")->owner = 0x20;
	expect_count(0);
	/* Not known: by its other kind of address, and not at all. */
	subjects[0].owner = subjects[1].owner = 0x10;
	strcpy(sessions[0].host, "2001:db8::1");
	expect_count(1);
	cr_assert_eq(findings.items[0].subject, 0, "a loopback address is known to be nobody else's");
	subjects[0] = subjects[1];
	evidence.count = 1;
	expect_count(0);
	sessions[0].host[0] = '\0';
	subjects[0].owner = 0x10;
	expect_count(0);
}

Test(diagnosis, foreign_names)
{
	struct subject *subject = add("web.example:80");

	expect_count(0);
	subject->contact = &contacts[0];
	expect_count(0);
	contacts[0].found_count = 2;
	cr_assert_eq(inet_pton(AF_INET6, "2001:db8::1", &contacts[0].found[0]), 1);
	cr_assert_eq(inet_pton(AF_INET6, "2001:db8::2", &contacts[0].found[1]), 1);
	expect_count(0);
	cr_assert_eq(inet_pton(AF_INET6, "::ffff:192.0.2.3", &contacts[0].found[1]), 1);
	expect(FINDING_FOREIGN, 0, "connected from 192.0.2.1");
	cr_assert_eq(inet_pton(AF_INET6, "::ffff:192.0.2.1", &contacts[0].found[1]), 1);
	expect_count(0);
}

Test(diagnosis, slow_session)
{
	add("192.0.2.1:80");
	sessions[0].timeout_ms = 15000;
	expect_count(0);
	sessions[0].timeout_ms = 40500;
	expect(FINDING_SLOW_SESSION, 0, "another 40.500 s");
}

Test(diagnosis, not_answering)
{
	add("192.0.2.1:80")->contact = &contacts[0];
	contacts[0] = (struct contact){.outcome = DIAL_REFUSED, .why = "Connection refused"};
	expect(FINDING_NOT_ANSWERING, 0, "Connection refused");
	contacts[0].outcome = DIAL_NO_NAME;
	expect(FINDING_NOT_ANSWERING, 0, "Connection refused");
	contacts[0].outcome = DIAL_FAILED; /* on our side */
	expect_count(0);
}

Test(diagnosis, order_is_by_kind_then_by_node)
{
	add("192.0.2.1:80")->owner = 0;
	add("nonsense");
	add("192.0.2.1:81")->owner = 0;
	expect_count(3);
	cr_assert_eq(findings.items[0].kind, FINDING_UNUSABLE);
	cr_assert_eq(findings.items[1].subject, 0);
	cr_assert_eq(findings.items[2].subject, 2);
	findings_clear(&findings);
}
