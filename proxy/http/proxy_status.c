/* proxy_status - writes Proxy-Status (see proxy_status.h). */
#include "http/proxy_status.h"

#include "http/rewrite.h"
#include "http/writer.h"

static void put_next_hop(struct writer *out, struct str next_hop)
{
	if (next_hop.bytes == 0)
		return;
	PUT_LITERAL(out, "; next-hop=");
	put_string(out, next_hop);
}

static size_t finish(struct writer *out, const char *start)
{
	PUT_LITERAL(out, "\r\n");
	return out->is_full ? 0 : (size_t)(out->at - start);
}

size_t http_write_proxy_status(enum problem problem, struct str next_hop, char *out, size_t size)
{
	const struct problem_row *row = problem_row(problem);
	struct writer writer = {.at = out, .end = out + size};
	PUT_LITERAL(&writer, "Proxy-Status: " HTTP_VIA_NAME "; error=");
	put_text(&writer, str_of(row->proxy_error));
	put_next_hop(&writer, next_hop);
	PUT_LITERAL(&writer, "; details=");
	put_string(&writer, str_of(row->code));
	return finish(&writer, out);
}

size_t http_write_received_status(int status, struct str next_hop, char *out, size_t size)
{
	struct writer writer = {.at = out, .end = out + size};
	PUT_LITERAL(&writer, "Proxy-Status: " HTTP_VIA_NAME "; received-status=");
	put_integer(&writer, (uint64_t)status);
	put_next_hop(&writer, next_hop);
	return finish(&writer, out);
}
