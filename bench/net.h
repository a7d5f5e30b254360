/* net - what the benchmarks' own programs share: addresses, sockets, time, arguments. They are measuring
 * tools: what goes wrong ends the program with a message. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)

/* Room for an IPv4 address, a colon, a port and the end of the text. */
#define NET_ADDRESS_BYTES 24

/* Print the message and what errno says, if it says something, and end the program. */
__attribute__((noreturn, format(printf, 1, 2))) void net_fail(const char *format, ...);

/* The number that `text` is, between `least` and `most`; anything else ends the program. `what` names it. */
uint64_t net_number(const char *text, const char *what, uint64_t least, uint64_t most);

/* `text` is an IPv4 address and a port, 127.0.0.1:8080; anything else ends the program. */
struct sockaddr_in net_address(const char *text);

/* A non-blocking listening socket on that port of 127.0.0.1; 0: on a free one, below those that outgoing
 * connections get. Writes its address to `address`. */
int net_listen(uint16_t port, char address[NET_ADDRESS_BYTES]);

/* The same on a free port of every address of the loopback network, 127.0.0.0/8; writes 0.0.0.0 and the port.
 */
int net_listen_everywhere(char address[NET_ADDRESS_BYTES]);

/* As net_listen() on that very address; ends the program when it is taken. */
int net_listen_at(const struct sockaddr_in *address);

/* The same on an address that others of this user may listen on as well: the kernel spreads connections. */
int net_listen_shared(const struct sockaddr_in *address);

/* Accept a connection, non-blocking and without delay; -1: none is waiting. */
int net_accept(int listener);

/* A socket that is being connected to `address`; it is non-blocking from the start, or once it is connected.
 * -1 with errno. */
int net_connect(const struct sockaddr_in *address, bool is_blocking);

/* CLOCK_MONOTONIC, which Python's time.monotonic_ns() reads too. */
uint64_t net_now_ns(void);

/* Let the program open all the descriptors that it may. */
void net_raise_descriptor_limit(void);

/* A descriptor that becomes readable on SIGTERM or SIGINT. */
int net_signals(void);

#endif
