/* upgrade_test - which protocols are offered, and which 101 answers an offer. */
#include "http/upgrade.h"
#include "support.h"

static const char *const websocket[] = {"websocket", "chat/2", NULL};

static struct http_parser parser;
static char offer[64];

static struct str offer_of(const char *text, size_t bytes)
{
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE);
	return (struct str){offer, http_upgrade_offer(&parser.head, websocket, offer, sizeof(offer))};
}

#define REQUEST(fields) BYTES("GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")

Test(upgrade, what_is_allowed_is_offered_in_the_clients_order)
{
	expect_text(offer_of(REQUEST("Connection: upgrade\r\nUpgrade: websocket\r\n")), "websocket");
	expect_text(offer_of(REQUEST("Connection: x, UPGRADE\r\nUpgrade: WebSocket\r\n")), "WebSocket");
	expect_text(offer_of(REQUEST("Connection: upgrade\r\nUpgrade: chat/2, h2c,, websocket\r\n")),
		"chat/2, websocket");
	expect_text(offer_of(REQUEST("Upgrade: irc\r\nConnection: upgrade\r\nUpgrade: websocket\r\n")),
		"websocket");
}

Test(upgrade, nothing_else_is_offered)
{
	expect_text(offer_of(REQUEST("")), "");
	expect_text(offer_of(REQUEST("Upgrade: websocket\r\n")), "");
	expect_text(offer_of(REQUEST("Connection: upgrade\r\n")), "");
	expect_text(offer_of(REQUEST("Connection: upgrade\r\nUpgrade:\r\n")), "");
	expect_text(offer_of(REQUEST("Connection: upgrade\r\nUpgrade: h2c\r\n")), "");
	expect_text(offer_of(REQUEST("Connection: upgrade\r\nUpgrade: websocket/13, chat, chat/1\r\n")), "");
	expect_text(
		offer_of(BYTES("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")), "");
}

/* As long as there is room, and never a part of what there is no room for. */
Test(upgrade, an_offer_that_does_not_fit_is_none)
{
	cr_assert_eq(parse_request(&parser, REQUEST("Connection: upgrade\r\nUpgrade: websocket, chat/2\r\n")),
		HTTP_DONE);
	for (size_t size = 0; size < sizeof(offer); size++) {
		size_t bytes = http_upgrade_offer(&parser.head, websocket, offer, size);
		cr_expect(bytes == 0 || (bytes == 17 && bytes <= size), "%zu of %zu", bytes, size);
	}
}

static bool is_answered(const char *text, size_t bytes)
{
	cr_assert_eq(parse_response(&parser, text, bytes), HTTP_DONE);
	return http_upgrade_is_answered(&parser.head, STR("websocket, chat/2"));
}

#define SWITCHING(fields) BYTES("HTTP/1.1 101 Switching Protocols\r\n" fields "\r\n")

Test(upgrade, an_answer_names_what_was_offered)
{
	cr_expect(is_answered(SWITCHING("Connection: Upgrade\r\nUpgrade: websocket\r\n")));
	cr_expect(is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: WEBSOCKET\r\n")));
	cr_expect(is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: chat/2, websocket\r\n")));
	cr_expect_not(is_answered(SWITCHING("")));
	cr_expect_not(is_answered(SWITCHING("Upgrade: websocket\r\n")));
	cr_expect_not(is_answered(SWITCHING("Connection: upgrade\r\n")));
	cr_expect_not(is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: ,\r\n")));
	cr_expect_not(is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: h2c\r\n")));
	cr_expect_not(is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n")));
	cr_expect_not(
		is_answered(SWITCHING("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n")));
}
