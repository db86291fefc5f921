// SPDX-License-Identifier: Apache-2.0
/* make_synthetic MANIFEST OUT.pth: writes the full-size checkpoint that a manifest of tests/golden describes.
 */
#include "support/synthetic.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: make_synthetic MANIFEST OUT.pth\n");
        return 2;
    }
    sono_error error = {0};
    if (synthetic_write(argv[1], argv[2], &error) != SONO_STATUS_OK) {
        fprintf(stderr, "make_synthetic: %s\n", error.text);
        return 1;
    }
    return 0;
}
