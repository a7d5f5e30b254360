/* endpoint_name - any bytes as the name of an endpoint's node: taken exactly where the grammar says so, and
 * what is taken is written again byte for byte. As a service's label, the two bytes that no node may have
 * never pass. */
#include "address_grammar.h"
#include "srsd.h"

#include <netdb.h>
#include <sys/socket.h>

#define LABEL	       "[-0-9A-Za-z_]{1,63}"
#define NAME_MAX_BYTES 4096

static bool is_host_by_grammar(const char *text, size_t bytes)
{
	static regex_t *address, *name, *number;
	if (grammar_matches(&address, "^(" GRAMMAR_IPV4 "|\\[" GRAMMAR_IPV6 "\\])$", text, bytes))
		return true;
	return bytes <= SRSD_HOST_MAX && grammar_matches(&name, "^" LABEL "([.]" LABEL ")*$", text, bytes) &&
	       !grammar_matches(&number, "(^|[.])([0-9]+|0[xX][0-9A-Fa-f]*)$", text, bytes);
}

static bool is_address_by_grammar(const char *text, size_t bytes)
{
	const char *colon = bytes > 0 ? memrchr(text, ':', bytes) : NULL;
	if (colon == NULL)
		return false;
	size_t host_bytes = (size_t)(colon - text), port_bytes = bytes - host_bytes - 1;
	return port_bytes > 0 && colon[1] != '0' && grammar_is_port(colon + 1, port_bytes, 1) &&
	       is_host_by_grammar(text, host_bytes);
}

/* An address must also be one to the system's resolver, and a name none. */
static void check_kind(const struct srsd_address *address)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_UNSPEC}, *found = NULL;
	bool is_numeric = getaddrinfo(address->host, NULL, &hints, &found) == 0;
	int family = is_numeric ? found->ai_family : AF_UNSPEC;
	if (is_numeric)
		freeaddrinfo(found);
	require(family == (address->kind == SRSD_HOST_IPV4	    ? AF_INET
				  : address->kind == SRSD_HOST_IPV6 ? AF_INET6
								    : AF_UNSPEC),
		"the system's resolver reads it as something else");
}

static void check_address(const char *text, size_t bytes)
{
	struct srsd_address address;
	char again[SRSD_ADDRESS_MAX];
	const char *why;
	bool is_taken = srsd_address_parse(text, bytes, &address, &why) == SRSD_OK;
	require(is_taken == (why == NULL), "a fault without a reason, or a reason without a fault");
	require(is_taken == is_address_by_grammar(text, bytes), "an address is not judged by its grammar");
	if (!is_taken)
		return;
	require(srsd_address_format(&address, again, sizeof(again)) == bytes &&
			memcmp(again, text, bytes) == 0 && strlen(again) == bytes,
		"an address is written as another one");
	check_kind(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes > NAME_MAX_BYTES)
		return 0;
	char *text = malloc(bytes + 1);
	require(text != NULL, "no memory");
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	check_address(text, bytes);
	const char *why;
	bool is_label = srsd_label_check(text, &why) == SRSD_OK;
	require(is_label == (why == NULL), "a label's fault without a reason");
	require(!is_label || (strchr(text, '/') == NULL && text[0] != '\0' && strcmp(text, "..") != 0 &&
				     strcmp(text, ".") != 0 && strlen(text) < 256),
		"a label that no node can have");
	free(text);
	return 0;
}
