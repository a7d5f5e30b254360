/* text_checks - addresses, ZooKeeper paths and HTTP paths, checked by the parsers that will read them. */
#include "config/text_checks.h"

#include "proxy/base/network.h"
#include "srsd/srsd.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

_Static_assert(TEXT_ADDRESS_MAX >= SRSD_ADDRESS_MAX, "an address must fit");

#define ADDRESS_EXAMPLES "write for example 192.0.2.1:8080, [2001:db8::1]:8080"

bool text_check_servers(const char *text, struct text_fault *fault)
{
	struct srsd_error error = {""};
	if (srsd_servers_check(text, &error) == SRSD_OK)
		return true;
	snprintf(fault->text, sizeof(fault->text),
		"%s: write for example 192.0.2.1:2181,192.0.2.2:2181/chroot", error.text);
	return false;
}

bool text_check_registry(const char *text, struct text_fault *fault)
{
	struct srsd_error error = {""};
	if (srsd_registry_check(text, &error) == SRSD_OK)
		return true;
	snprintf(fault->text, sizeof(fault->text), "%s: write for example /zk_registry/data", error.text);
	return false;
}

bool text_check_label(const char *text, struct text_fault *fault)
{
	const char *why = "not usable as a label";
	if (srsd_label_check(text, &why) == SRSD_OK)
		return true;
	snprintf(fault->text, sizeof(fault->text), "%s: write the name of a node, for example tornado_app",
		why);
	return false;
}

/* It is a key in the JSON of others, who may have written anything. */
bool text_check_port_name(const char *text, struct text_fault *fault)
{
	if (strlen(text) <= TEXT_PORT_NAME_MAX)
		return true;
	snprintf(fault->text, sizeof(fault->text),
		"it is longer than %d bytes: write the name as the service registers it, for example http",
		TEXT_PORT_NAME_MAX);
	return false;
}

bool text_check_endpoint(const char *text, struct text_fault *fault)
{
	const char *why = "not an address";
	struct srsd_address address;
	if (srsd_address_parse(text, strlen(text), &address, &why) == SRSD_OK)
		return true;
	snprintf(fault->text, sizeof(fault->text), "%s: " ADDRESS_EXAMPLES " or name.example:8080", why);
	return false;
}

/* As srsd_address_parse(), and port 0 too, which is no address of a service but one to listen on. */
static bool parse_listen(const char *text, struct srsd_address *address, const char **why)
{
	char copy[SRSD_ADDRESS_MAX];
	size_t bytes = strlen(text);
	bool is_any_port = bytes > 2 && bytes < sizeof(copy) && strcmp(text + bytes - 2, ":0") == 0;
	if (!is_any_port)
		return srsd_address_parse(text, bytes, address, why) == SRSD_OK;
	memcpy(copy, text, bytes);
	copy[bytes - 1] = '1';
	if (srsd_address_parse(copy, bytes, address, why) != SRSD_OK)
		return false;
	address->port = 0;
	return true;
}

bool text_check_listen(const char *text, struct text_fault *fault)
{
	const char *why = "not an address";
	struct srsd_address address;
	bool is_good = parse_listen(text, &address, &why);
	if (is_good && address.kind == SRSD_HOST_NAME) {
		is_good = false;
		why = "a host name, where the IP address of an interface is needed";
	}
	if (!is_good)
		snprintf(fault->text, sizeof(fault->text),
			"%s: " ADDRESS_EXAMPLES ", or 0.0.0.0:8080 for all", why);
	return is_good;
}

bool text_check_file(const char *text, struct text_fault *fault)
{
	if (text[0] == '/')
		return true;
	snprintf(fault->text, sizeof(fault->text),
		"not absolute: write for example /etc/srsd-proxy/zookeeper.auth");
	return false;
}

bool text_check_access_log(const char *text, struct text_fault *fault)
{
	if (text[0] == '/' || strcmp(text, "stdout") == 0 || strcmp(text, "stderr") == 0)
		return true;
	snprintf(fault->text, sizeof(fault->text),
		"neither stdout, stderr nor an absolute path: write for example "
		"/var/log/srsd-proxy/access.log");
	return false;
}

bool text_check_directory(const char *text, struct text_fault *fault)
{
	if (text[0] == '/')
		return true;
	snprintf(fault->text, sizeof(fault->text), "not absolute: write for example /var/lib/srsd-proxy");
	return false;
}

bool text_check_network(const char *text, struct text_fault *fault)
{
	struct network network;
	char shown[NETWORK_TEXT_MAX];
	switch (network_parse(text, &network)) {
	case NETWORK_GOOD:
		return true;
	case NETWORK_NO_ADDRESS:
		snprintf(fault->text, sizeof(fault->text),
			"no IP address: write for example 192.0.2.0/24, 2001:db8::/32, 192.0.2.1");
		break;
	case NETWORK_BAD_PREFIX:
		snprintf(fault->text, sizeof(fault->text),
			"its prefix is no number of bits: write one from 0 to %s after the '/'",
			strchr(text, ':') != NULL ? "128" : "32");
		break;
	case NETWORK_HOST_BITS:
		snprintf(fault->text, sizeof(fault->text),
			"bits are set behind its prefix: write %s, or %.*s for the one address",
			network_format(&network, shown), (int)strcspn(text, "/"), text);
		break;
	}
	return false;
}

bool text_check_path(const char *text, struct text_fault *fault)
{
	const char *why = NULL;
	if (text[0] != '/')
		why = "it does not begin with '/': write a path such as /info";
	for (const char *c = text; *c != '\0' && why == NULL; c++) {
		if (*c == '?' || *c == '#')
			why = "'?' and '#' end a path: write the path alone";
		else if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7F)
			why = "a character that no path of a request has: write it as %xx, a space as %20";
	}
	if (why != NULL)
		snprintf(fault->text, sizeof(fault->text), "%s", why);
	return why == NULL;
}

/* A probe is written into memory of one size. */
bool text_check_probe_path(const char *text, struct text_fault *fault)
{
	if (strlen(text) <= TEXT_PROBE_PATH_MAX)
		return text_check_path(text, fault);
	snprintf(fault->text, sizeof(fault->text),
		"it is longer than %d bytes: write a path that is made for probes, such as /health",
		TEXT_PROBE_PATH_MAX);
	return false;
}

/* What names of fields, protocols and cookies are made of (RFC 9110 section 5.6.2). */
static const char text_token[] =
	"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool text_check_hash_on(const char *text, struct text_fault *fault)
{
	static const char *const kinds[] = {"header:", "cookie:"};
	if (strcmp(text, "path") == 0 || strcmp(text, "client_address") == 0)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *name = text + strlen(kinds[i]);
		if (strncmp(text, kinds[i], strlen(kinds[i])) != 0)
			continue;
		if (*name != '\0' && name[strspn(name, text_token)] == '\0')
			return true;
		snprintf(fault->text, sizeof(fault->text),
			"\"%s\" is no name of a %.6s: it is one or more letters, digits and !#$%%&'*+-.^_`|~",
			name, kinds[i]);
		return false;
	}
	snprintf(fault->text, sizeof(fault->text),
		"nothing that a request has: write path, client_address, header:NAME or cookie:NAME");
	return false;
}

/* protocol = protocol-name [ "/" protocol-version ], both tokens (RFC 9110 section 7.8). */
bool text_check_protocol(const char *text, struct text_fault *fault)
{
	const char *why = NULL;
	size_t name = strspn(text, text_token);
	size_t version = text[name] == '/' ? strspn(text + name + 1, text_token) : 0;
	const char *end = text + name + (version > 0 ? 1 + version : 0);
	if (name == 0 || *end != '\0')
		why = "not a protocol: write its name, and its version if it has one, such as websocket or "
		      "name/1.0";
	else if (strcasecmp(text, "h2c") == 0)
		why = "never passed on: whoever speaks HTTP/2 through such a tunnel is past all checks; "
		      "leave it out";
	if (why != NULL)
		snprintf(fault->text, sizeof(fault->text), "%s", why);
	return why == NULL;
}

bool text_canonical_address(const char *text, char out[TEXT_ADDRESS_MAX])
{
	struct srsd_address address;
	struct in6_addr ipv6;
	const char *why;
	if (!parse_listen(text, &address, &why) || address.port == 0)
		return false;
	if (address.kind == SRSD_HOST_IPV6 && inet_pton(AF_INET6, address.host, &ipv6) == 1)
		inet_ntop(AF_INET6, &ipv6, address.host, sizeof(address.host));
	for (char *c = address.host; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
	srsd_address_format(&address, out, TEXT_ADDRESS_MAX);
	return true;
}
