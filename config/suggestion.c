/* suggestion - finds the word that was probably meant, by the number of typing slips between two words. */
#include "config/suggestion.h"

#include <string.h>

#define WORD_BYTES_MAX 64

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c + ('a' - 'A'));
	return c == '-' ? '_' : c;
}

/* Insertions, deletions, replacements, and swaps of neighbours (optimal string alignment). */
static size_t distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	size_t rows[3][WORD_BYTES_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_bytes; j++)
		above[j] = before[j] = j;
	for (size_t i = 1; i <= a_bytes; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_bytes; j++) {
			size_t differs = fold(a[i - 1]) != fold(b[j - 1]);
			row[j] = least(above[j - 1] + differs, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
				fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_bytes];
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
	size_t bytes = strlen(candidate);
	size_t shorter = least(bytes, suggestion->bytes);
	if (shorter == 0 || suggestion->bytes > WORD_BYTES_MAX || bytes > WORD_BYTES_MAX)
		return;
	/* No slip in a word of two letters, three in a long one; more where one word is the beginning of the
	 * other. */
	size_t slips = distance(suggestion->word, suggestion->bytes, candidate, bytes);
	size_t slips_max = shorter <= 2 ? 0 : shorter == 3 ? 1 : shorter <= 8 ? 2 : 3;
	if (shorter >= 4 && memcmp(suggestion->word, candidate, shorter) == 0)
		slips_max = WORD_BYTES_MAX;
	if (slips > slips_max || (suggestion->nearest != NULL && slips >= suggestion->nearest_distance))
		return;
	suggestion->nearest = candidate;
	suggestion->nearest_distance = slips;
}
