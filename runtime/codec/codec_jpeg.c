/* codec_jpeg.c: JPEG by libjpeg, its errors caught by longjmp. Four channels are taken as CMYK with
 * all inverted, as Adobe writes them. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "runtime/rt_codec.h"

typedef struct Jpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf failed;
} Jpeg;

static void on_error(j_common_ptr info)
{
    Jpeg *j = (Jpeg *)info;
    longjmp(j->failed, 1);
}

static void on_message(j_common_ptr info)
{
    (void)info;
}

static void from_cmyk(uint8_t *line, int64_t width)
{
    for (int64_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++)
            line[3 * x + c] = (uint8_t)(line[4 * x + c] * line[4 * x + 3] / 255);
}

/* A line of four channels has no room in the image: it is read into memory of the library. */
static void read_lines(Jpeg *j, uint8_t *to)
{
    int64_t width = j->info.output_width;
    bool four = j->info.output_components == 4;
    JSAMPARRAY own = four ? (*j->info.mem->alloc_sarray)((j_common_ptr)&j->info, JPOOL_IMAGE,
                                                         j->info.output_width * 4, 1)
                          : NULL;

    while (j->info.output_scanline < j->info.output_height) {
        JSAMPROW row = to + (int64_t)j->info.output_scanline * width * 3;
        if (!four) {
            jpeg_read_scanlines(&j->info, &row, 1);
            continue;
        }
        jpeg_read_scanlines(&j->info, own, 1);
        from_cmyk(own[0], width);
        for (int64_t i = 0; i < width * 3; i++)
            row[i] = own[0][i];
    }
}

bool ingot_codec_jpeg(RtBytes file, RtPixels *p)
{
    Jpeg j = {.info.err = NULL};
    uint8_t *to;

    j.info.err = jpeg_std_error(&j.errors);
    j.errors.error_exit = on_error;
    j.errors.output_message = on_message;
    if (setjmp(j.failed)) {
        jpeg_destroy_decompress(&j.info);
        return false;
    }
    jpeg_create_decompress(&j.info);
    jpeg_mem_src(&j.info, file.data, (unsigned long)file.size);
    jpeg_read_header(&j.info, TRUE);
    j.info.out_color_space = j.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&j.info);
    to = p->take(p, j.info.output_width, j.info.output_height);
    if (!to || (j.info.output_components != 3 && j.info.output_components != 4))
        on_error((j_common_ptr)&j.info);
    read_lines(&j, to);
    jpeg_finish_decompress(&j.info);
    jpeg_destroy_decompress(&j.info);
    return true;
}
