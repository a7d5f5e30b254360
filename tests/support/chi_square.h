/* chi_square - was a set of counts drawn with equal chances, or with given ones? Owns nothing. */
#ifndef SUPPORT_CHI_SQUARE_H
#define SUPPORT_CHI_SQUARE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Quantile of the normal distribution that one fair run in 3.5 million passes. There are many: tests that are
 * to hold in every run draw from FIXED_RANDOM. */
#define CHI_SQUARE_Z 5.0

static inline double chi_square(const unsigned *counts, size_t classes)
{
	double total = 0, sum = 0;
	for (size_t i = 0; i < classes; i++)
		total += counts[i];
	double wanted = total / (double)classes;
	for (size_t i = 0; i < classes; i++)
		sum += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
	return sum;
}

/* The value that chi-square stays below, by the approximation of Wilson and Hilferty (1931). */
static inline double chi_square_limit(size_t classes)
{
	double freedom = (double)(classes - 1), part = 2.0 / (9.0 * freedom);
	return freedom * pow(1.0 - part + CHI_SQUARE_Z * sqrt(part), 3);
}

static inline bool is_uniform(const unsigned *counts, size_t classes)
{
	return chi_square(counts, classes) < chi_square_limit(classes);
}

/* Drawn in proportion to `weights`? What has none must never have been drawn. */
static inline bool is_weighted(const unsigned *counts, const uint32_t *weights, size_t classes)
{
	double total = 0, weight = 0, sum = 0;
	size_t drawn = 0;
	for (size_t i = 0; i < classes; i++) {
		total += counts[i];
		weight += weights[i];
	}
	for (size_t i = 0; i < classes; i++) {
		double wanted = total * weights[i] / weight;
		if (weights[i] == 0 && counts[i] > 0)
			return false;
		if (weights[i] == 0)
			continue;
		drawn++;
		sum += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
	}
	return drawn == 1 || sum < chi_square_limit(drawn);
}

#endif
