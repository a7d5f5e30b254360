/* replay - main() of a fuzz target without libFuzzer: gives it every file of the folders that are named,
 * once. So each build and each run of the tests sees that no case ever found is back. */
#include "require.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

#define INPUT_BYTES_MAX (1 << 20)

static void replay_file(const char *path)
{
	static uint8_t input[INPUT_BYTES_MAX];
	FILE *file = fopen(path, "rb");
	require(file != NULL, path);
	size_t bytes = fread(input, 1, sizeof(input), file);
	fclose(file);
	fprintf(stderr, "%s\n", path);
	/* of its own size: a sanitizer sees what is read behind it */
	uint8_t *copy = malloc(bytes + 1);
	require(copy != NULL, "no memory");
	memcpy(copy + 1, input, bytes);
	require(LLVMFuzzerTestOneInput(copy + 1, bytes) == 0, path);
	free(copy);
}

int main(int argc, char **argv)
{
	size_t count = 0;
	for (int i = 1; i < argc; i++) {
		struct dirent **entries;
		int found = scandir(argv[i], &entries, NULL, alphasort);
		require(found >= 0, argv[i]);
		for (int entry = 0; entry < found; entry++) {
			char path[PATH_MAX];
			snprintf(path, sizeof(path), "%s/%s", argv[i], entries[entry]->d_name);
			if (entries[entry]->d_name[0] != '.') {
				replay_file(path);
				count++;
			}
			free(entries[entry]);
		}
		free(entries);
	}
	printf("%zu inputs\n", count);
	return count == 0;
}
