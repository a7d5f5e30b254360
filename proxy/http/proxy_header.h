/* proxy_header - what a load balancer sends before a connection's first byte to say who its client is: the
 * PROXY protocol, versions 1 (a line of text) and 2 (binary), as
 * haproxy.org/download/2.6/doc/proxy-protocol.txt has it. Pure: bytes in, verdict out. */
#ifndef HTTP_PROXY_HEADER_H
#define HTTP_PROXY_HEADER_H

#include "base/check.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* The longest header that is taken, of version 2 with all that is attached to it. The protocol would allow 64
 * KB; what balancers attach (certificates' names, ids of networks) comes to some hundred bytes. */
#define PROXY_HEADER_BYTES_MAX 4096

enum proxy_header_verdict { PROXY_HEADER_MORE, PROXY_HEADER_DONE, PROXY_HEADER_BAD };

union proxy_address {
	struct sockaddr any; /* AF_UNSPEC: none */
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

struct proxy_header {
	size_t bytes;	   /* DONE: its length; what follows is the client's */
	const char *fault; /* BAD: what is wrong, in a few words */
	/* DONE: the client, and where it connected to. None: the header tells of none (LOCAL, UNKNOWN, a UNIX
	 * socket), and the connection's own address is to be used. */
	union proxy_address source, destination;
};

/* Read the header that `bytes` bytes from the start of the connection begin with. MORE: they are a part of
 * one; call again with more, from the start. BAD: they can never become one. */
MUST_CHECK enum proxy_header_verdict proxy_header_read(
	const char *at, size_t bytes, struct proxy_header *header);

#endif
