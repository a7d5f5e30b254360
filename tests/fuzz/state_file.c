/* state_file - any bytes as a kept set: taken or refused with a reason, and what is taken is written and read
 * again as the same. The first byte says whether the rest is a whole file, or a body that gets its right
 * header, so that a checksum is no wall before the reader. */
#include "state/state_file.h"

#include "node/snapshot.h"
#include "require.h"

#include <string.h>
#include <zlib.h>

#define BYTES_MAX 65536

static const struct srsd_read_options options = {.format = SRSD_FORMAT_JSON};
static const struct srsd_state_subject subject = {.servers = "a:1", .path = "/r/l", .options = &options};

static void check_members(const struct srsd_snapshot *snapshot)
{
	for (size_t i = 0; i < srsd_snapshot_count(snapshot); i++) {
		const struct srsd_endpoint *endpoint = srsd_snapshot_at(snapshot, i);
		struct srsd_address address, again;
		char text[SRSD_ADDRESS_MAX];
		srsd_endpoint_address(endpoint, &address);
		srsd_address_format(&address, text, sizeof(text));
		require(srsd_address_parse(text, strlen(text), &again, NULL) == SRSD_OK, "no address");
		require(srsd_endpoint_weight(endpoint) <= 65535, "no weight");
		require(i == 0 || strcmp(srsd_endpoint_name(srsd_snapshot_at(snapshot, i - 1)),
					  srsd_endpoint_name(endpoint)) < 0,
			"not in order");
	}
}

/* Written, read and written again, it does not change. */
static void check_again(const struct srsd_snapshot *snapshot, int64_t confirmed_ms)
{
	struct srsd_snapshot *read = NULL;
	int64_t again_ms = 0;
	const char *why;
	size_t bytes, again_bytes;
	char *text = srsd_state_file_write(&subject, snapshot, confirmed_ms, &bytes);
	require(text != NULL, "what was read is not written");
	require(srsd_state_file_read(&subject, text, bytes, &read, &again_ms, &why) == SRSD_STATE_GOOD,
		"what was written is not read");
	char *again = srsd_state_file_write(&subject, read, again_ms, &again_bytes);
	require(again != NULL && again_bytes == bytes && memcmp(again, text, bytes) == 0,
		"it is written as something else");
	srsd_snapshot_unref(&read);
	free(text);
	free(again);
}

static char *with_header(const uint8_t *data, size_t bytes, size_t *out_bytes)
{
	char *text = malloc(bytes + 64);
	require(text != NULL, "no memory");
	int header = sprintf(text, "srsd-state 1 %08lx %010zu\n", crc32_z(0, data, bytes), bytes);
	memcpy(text + header, data, bytes);
	*out_bytes = bytes + (size_t)header;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms = 0;
	const char *why = NULL;
	char *text = NULL;
	if (bytes == 0 || bytes > BYTES_MAX)
		return 0;
	bool is_body = data[0] == 'b';
	data++;
	bytes--;
	if (is_body)
		text = with_header(data, bytes, &bytes);
	else if ((text = malloc(bytes + 1)) != NULL)
		memcpy(text, data, bytes);
	require(text != NULL, "no memory");
	enum srsd_state_verdict verdict =
		srsd_state_file_read(&subject, text, bytes, &snapshot, &confirmed_ms, &why);
	require((verdict == SRSD_STATE_GOOD) == (snapshot != NULL), "a set without a verdict");
	require((verdict == SRSD_STATE_REFUSED) == (why != NULL), "a verdict without a reason");
	require(verdict != SRSD_STATE_NO_MEMORY, "memory is short");
	if (snapshot != NULL) {
		check_members(snapshot);
		check_again(snapshot, confirmed_ms);
	}
	srsd_snapshot_unref(&snapshot);
	free(text);
	return 0;
}
