/* digest_test.c: against BLAKE2b of another implementation (Python's hashlib, digest_size=16), over
 * lengths around the block. */
#include "support/digest.h"

#include "tests/unit/check.h"

int main(void)
{
    static const struct {
        size_t n;
        const char *plain, *mixed; /* mixed: the same data again, keyed by the plain digest */
    } cases[] = {
        {0, "cae66941d9efbd404e4d88758ea67670", "1d094bf5cad44ba690df91d60c9d72b0"},
        {1, "71b186b851e866e71be237342976049a", "7516a0149b5ee06645a0193ae74f2d56"},
        {3, "09e03a807474593d5cb98909e5d502cd", "2b4f142f0bcec3ecc89846b00e84559e"},
        {127, "e00ab0ead4d729de8fbe7745d642e416", "7d9d664b10a9f24897d4c739bdd687fe"},
        {128, "8e0cf9bb1b36fa6c42aa6490f719b575", "7b3be86b91e89db188dd2494292823d6"},
        {129, "6cefde50e4008690e61cf8225d101256", "1e9da786dc37919694d20e617f0b1e22"},
        {255, "b1bce9f0dc0bec101cd5e09b7961937c", "71d53e6f8eeb6f79b43180ce4ec5fd9f"},
        {256, "ac60b0f8b3227af67328401630cd4dfa", "bb1a63af1f786b949f75fa2d31cc119b"},
        {257, "7e5b16bfede2940cbed4da50b56da597", "a686ef40ae687169e2f6c8ec6de44a72"},
        {1000, "add263669b4eb2158678a360fa6f007a", "32abcc58f054f1bce51ca3beb3c9e50d"},
    };
    unsigned char data[1000];
    char text[33];

    for (int i = 0; i < 1000; i++) {
        data[i] = (unsigned char)(i * 7 + 3);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Digest d = digest_bytes(data, cases[i].n);
        digest_text(d, text);
        CHECK_STR(text, cases[i].plain);
        digest_text(digest_mix(d, data, cases[i].n), text);
        CHECK_STR(text, cases[i].mixed);
    }
    Digest start = digest_bytes(data, 5);
    Digest ab = digest_mix(digest_mix(start, "a", 1), "b", 1);
    Digest ba = digest_mix(digest_mix(start, "b", 1), "a", 1);
    CHECK(ab.hi != ba.hi || ab.lo != ba.lo);
    return check_result();
}
