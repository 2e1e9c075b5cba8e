/* embed.c: an application with the digits model inside.
 *
 *     ingot compile models/digits/digits.onnx --emit header -o digits.h
 *     ingot compile models/digits/digits.onnx --emit lib -o libdigits.a
 *     cc -I. models/digits/embed.c libdigits.a -lm -pthread -o embed && ./embed
 *
 * Two threads, each with an instance of its own, read one image each, 1000 times: the model is one
 * constant that both share, the instances are independent. One of them lends its memory for the
 * result, the other one writes into the application's. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "digits.h"

/* Two images that training never saw: images/3_1438.png and images/7_1442.png. */
static const unsigned char images[2][64] = {
    {
        0, 16, 191, 239, 80,  0,   0,  0, 0, 64, 239, 128, 239, 48,  0,   0,
        0, 0,  48,  16,  223, 64,  0,  0, 0, 0,  64,  223, 255, 16,  0,   0,
        0, 0,  16,  159, 223, 239, 64, 0, 0, 0,  0,   0,   0,   191, 128, 0,
        0, 64, 128, 64,  159, 255, 64, 0, 0, 32, 191, 255, 207, 96,  0,   0,
    },
    {
        0, 0, 16,  223, 255, 255, 239, 16, 0, 0, 175, 223, 128, 207, 175, 0,
        0, 0, 239, 96,  0,   223, 48,  0,  0, 0, 80,  16,  80,  207, 16,  0,
        0, 0, 0,   207, 255, 255, 143, 0,  0, 0, 32,  255, 239, 143, 16,  0,
        0, 0, 0,   175, 143, 0,   0,   0,  0, 0, 48,  255, 32,  0,   0,   0,
    },
};

typedef struct Job {
    const unsigned char *image;
    int own_memory;
    int label; /* what was read; -1: an error, or the runs disagreed */
    float probability;
} Job;

/* One run; the index of the largest probability, -1 on an error. */
static int read_digit(ingot_instance *m, const digits_inputs *in, int own_memory,
                      float *probability)
{
    float mine[10];
    digits_outputs out;
    int best = 0;

    memset(&out, 0, sizeof out);
    if (own_memory) {
        out.probability = mine;
        out.probability_capacity = sizeof mine;
    }
    if (digits_run(m, in, &out) != INGOT_OK) {
        fprintf(stderr, "%s\n", ingot_error(m));
        return -1;
    }
    for (int i = 1; i < 10; i++) {
        if (out.probability[i] > out.probability[best]) best = i;
    }
    *probability = out.probability[best];
    return best;
}

static void *work(void *p)
{
    Job *job = p;
    float pixels[64];
    digits_inputs in;
    ingot_options options;
    ingot_instance *m;

    for (int i = 0; i < 64; i++)
        pixels[i] = (float)job->image[i] / 255.0f;
    memset(&in, 0, sizeof in);
    in.image = pixels;
    in.batch = 1;
    memset(&options, 0, sizeof options);
    options.threads = 1;
    job->label = -1;
    if (digits_create(&options, &m) != INGOT_OK) return NULL;
    for (int run = 0; run < 1000; run++) {
        int label = read_digit(m, &in, job->own_memory, &job->probability);
        job->label = run == 0 || label == job->label ? label : -1;
        if (job->label < 0) break;
    }
    digits_destroy(m);
    return NULL;
}

int main(void)
{
    Job jobs[2] = {{images[0], 0, -1, 0}, {images[1], 1, -1, 0}};
    pthread_t other;

    if (pthread_create(&other, NULL, work, &jobs[1]) != 0) return 1;
    work(&jobs[0]);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++)
        printf("%d  %.4f\n", jobs[i].label, (double)jobs[i].probability);
    return jobs[0].label < 0 || jobs[1].label < 0;
}
