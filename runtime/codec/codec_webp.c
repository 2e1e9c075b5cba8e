/* codec_webp.c: WebP by libwebp. */
#include <webp/decode.h>

#include "runtime/rt_codec.h"

bool ingot_codec_webp(RtBytes file, RtPixels *p)
{
    int width, height;
    uint8_t *to;

    if (!WebPGetInfo(file.data, file.size, &width, &height)) return false;
    to = p->take(p, width, height);
    return to && WebPDecodeRGBInto(file.data, file.size, to, (size_t)width * (size_t)height * 3,
                                   width * 3) != NULL;
}
