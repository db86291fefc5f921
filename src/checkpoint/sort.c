// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/sort.h"

#include <string.h>

static int comes_before(sono_sort_compare compare, const void *context, uint32_t a, uint32_t b)
{
    const int order = compare(context, a, b);
    return order < 0 || (order == 0 && a < b);
}

static void sift_down(uint32_t *numbers, size_t root, size_t n, sono_sort_compare compare,
                      const void *context)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= n)
            return;
        if (child + 1 < n && comes_before(compare, context, numbers[child], numbers[child + 1]))
            child++;
        if (!comes_before(compare, context, numbers[root], numbers[child]))
            return;
        const uint32_t swapped = numbers[root];
        numbers[root] = numbers[child];
        numbers[child] = swapped;
        root = child;
    }
}

void sono_sort(uint32_t *numbers, size_t n, sono_sort_compare compare, const void *context)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(numbers, i, n, compare, context);
    for (size_t end = n; end-- > 1;) {
        const uint32_t largest = numbers[0];
        numbers[0] = numbers[end];
        numbers[end] = largest;
        sift_down(numbers, 0, end, compare, context);
    }
}

sono_text sono_text_of(const char *string)
{
    return (sono_text){string, strlen(string)};
}

int sono_text_compare(sono_text a, sono_text b)
{
    const size_t shorter = a.length < b.length ? a.length : b.length;
    const int order = shorter ? memcmp(a.start, b.start, shorter) : 0;
    if (order)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

typedef struct named_items {
    sono_sort_name name;
    const void *context;
} named_items;

static int compare_names(const void *context, uint32_t a, uint32_t b)
{
    const named_items *items = context;
    return sono_text_compare(items->name(items->context, a), items->name(items->context, b));
}

int64_t sono_sort_names(uint32_t *numbers, size_t n, sono_sort_name name, const void *context)
{
    const named_items items = {name, context};
    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint32_t)i;
    sono_sort(numbers, n, compare_names, &items);
    for (size_t i = 1; i < n; i++)
        if (compare_names(&items, numbers[i - 1], numbers[i]) == 0)
            return (int64_t)(i - 1);
    return -1;
}

int64_t sono_sort_find(const uint32_t *numbers, size_t n, sono_sort_name name, const void *context,
                       sono_text wanted)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = sono_text_compare(name(context, numbers[middle]), wanted);
        if (order == 0)
            return numbers[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
