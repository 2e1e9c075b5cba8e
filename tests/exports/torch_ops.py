"""Single operations of torch, as the exporters write them: many of their graphs no architecture shows."""
import torch
import torch.nn.functional as F
from torch import nn

import torch_nets
from torch_nets import Floats, Net


class Ids(torch_nets.Ids):
    """Indices below 9."""

    def __init__(self, *dims, high=9):
        super().__init__(*dims, high=high)


class Call(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, **inputs):
        return self.f(*inputs.values())


def of(f, *dims, other=None, **kind):
    """f of one tensor [a, b, ...]; the first dim is open, and the last where there are three or more."""
    names = ["n", *dims[1:-1], "m"] if len(dims) > 2 else ["n", *dims[1:]]
    sizes = {"n": dims[0], "m": dims[-1]}
    return lambda: Net(Call(f), {"x": Floats(*names, **kind)}, sizes, {"n": dims[0] + 1, "m": dims[-1] + 3, **(other or {})},
                       scale=False)


def ids(f, *dims, high=9):
    return lambda: Net(Call(f), {"x": Ids("n", *dims[1:], high=high)}, {"n": dims[0]}, {"n": dims[0] + 2}, scale=False)


def two(f, a, b):
    """f of two tensors, whose dims may be names."""
    sizes = {"n": 3, "m": 5, "k": 4}
    return lambda: Net(Call(f), {"x": a, "y": b}, sizes, {"n": 2, "m": 7, "k": 6}, scale=False)


def net(make, *dims, **kind):
    def build():
        torch.manual_seed(2)
        return Net(Call(make()), {"x": Floats("n", *dims[1:], **kind)}, {"n": dims[0]}, {"n": dims[0] + 1})
    return build


@torch.jit.script
def looped(x):
    for i in range(x.shape[0]):
        if i % 2 == 0:
            x = x + float(i)
        else:
            x = x * 0.5
    return x


@torch.jit.script
def doubled(x):
    n = 0
    while bool(x.abs().sum() < 100.0) and n < 9:
        x = x * 2.0
        n += 1
    return x, n


@torch.jit.script
def gathered(x):
    parts = []
    for i in range(x.shape[0]):
        parts.append(x[i] * float(i + 1))
    return torch.stack(parts)


def branch(x):
    return torch.cond(x.sum() > 0, lambda v: v + 1, lambda v: v * 2, (x,))


def put(x):
    y = x.clone()
    y[:, 1] = 5.0
    y[0, 2:] += 1.0
    return y


def spectrum(x):
    window = torch.hann_window(16)
    s = torch.stft(x, 16, 4, window=window, return_complex=False, center=True)
    return s


NETS = {
    "nonzero": of(lambda x: torch.nonzero(x > 0), 3, 4),
    "masked_select": of(lambda x: torch.masked_select(x, x > 0.2), 3, 4),
    "boolean_index": of(lambda x: x[x[:, 0] > 0], 5, 4),
    "unique": ids(lambda x: torch.unique(x, return_inverse=True, return_counts=True), 12),
    "topk": of(lambda x: torch.topk(x, 3), 3, 6),
    "sort": of(lambda x: torch.sort(x, dim=1, descending=True), 3, 6),
    "argsort": of(lambda x: torch.argsort(x, dim=0), 5, 4),
    "cumsum": of(lambda x: torch.cumsum(x, 1), 3, 4, 5),
    "cumprod": of(lambda x: torch.cumprod(x, 1), 3, 4),
    "logcumsumexp": of(lambda x: torch.logcumsumexp(x, 1), 3, 4),
    "where": two(lambda x, y: torch.where(x > y, x, y * 2), Floats("n", "m"), Floats("m")),
    "einsum": two(lambda x, y: torch.einsum("bij,bkj->bik", x, y), Floats("n", "m", 4), Floats("n", "k", 4)),
    "bmm": two(torch.bmm, Floats("n", "m", 4), Floats("n", 4, "k")),
    "cdist": two(torch.cdist, Floats("n", 4), Floats("m", 4)),
    "tensordot": two(lambda x, y: torch.tensordot(x, y, dims=([1, 2], [0, 1])), Floats("n", 3, 4), Floats(3, 4, "m")),
    "outer": two(torch.outer, Floats("n"), Floats("m")),
    "kron": two(torch.kron, Floats(2, 3), Floats(3, 2)),
    "scatter": two(lambda x, y: x.scatter(1, y, 7.0), Floats("n", 9), Ids("n", 4)),
    "scatter_add": two(lambda x, y: torch.zeros(x.shape[0], 9).scatter_add(1, y, x), Floats("n", 4), Ids("n", 4)),
    "index_add": two(lambda x, y: torch.zeros(9, 4).index_add(0, y, x), Floats("n", 4), Ids("n")),
    "index_put": of(put, 3, 5),
    "index_select": two(lambda x, y: x.index_select(1, y), Floats("n", 9), Ids("m")),
    "gather": two(lambda x, y: torch.gather(x, 1, y), Floats("n", 9), Ids("n", "m")),
    "take_along": two(lambda x, y: torch.take_along_dim(x, y, 1), Floats("n", 9), Ids("n", "m")),
    "one_hot": ids(lambda x: F.one_hot(x, 9), 4, 3),
    "embedding": ids(nn.Embedding(9, 4, padding_idx=0), 4, 3),
    "embedding_bag": ids(nn.EmbeddingBag(9, 4, mode="mean"), 4, 3),
    "bucketize": of(lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 0.5])), 3, 4),
    "searchsorted": of(lambda x: torch.searchsorted(torch.tensor([-1.0, 0.0, 0.5]), x, right=True), 3, 4),
    "repeat_interleave": of(lambda x: x.repeat_interleave(3, dim=1), 2, 3, 4),
    "repeat": of(lambda x: x.repeat(1, 2, 3), 2, 3, 4),
    "roll": of(lambda x: torch.roll(x, (1, -2), (1, 2)), 2, 3, 4),
    "flip": of(lambda x: x.flip(0, 2), 2, 3, 4),
    "rot90": of(lambda x: torch.rot90(x, 1, (1, 2)), 2, 3, 4),
    "tril": of(lambda x: torch.tril(x, -1) + torch.triu(x, 1), 2, 4, 5),
    "diagonal": of(lambda x: torch.diagonal(x, dim1=1, dim2=2), 2, 4, 4, other={"m": 4}),
    "unfold_dim": of(lambda x: x.unfold(1, 3, 2), 2, 9),
    "unfold": of(lambda x: F.unfold(x, 3, padding=1, stride=2), 2, 3, 8, 8, other={"m": 8}),
    "fold": of(lambda x: F.fold(x, (6, 6), 3), 2, 18, 16, other={"m": 16}),
    "pixel_shuffle": of(lambda x: F.pixel_shuffle(x, 2), 2, 8, 3, 4),
    "pixel_unshuffle": of(lambda x: F.pixel_unshuffle(x, 2), 2, 2, 4, 6, other={"m": 8}),
    "channel_shuffle": of(lambda x: F.channel_shuffle(x, 2), 2, 8, 3, 4),
    "interpolate_bicubic": of(lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic"), 2, 3, 5, 6),
    "interpolate_bilinear": of(lambda x: F.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True), 2, 3, 5, 6),
    "interpolate_antialias": of(lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True), 2, 3, 8, 9),
    "interpolate_nearest": of(lambda x: F.interpolate(x, scale_factor=2.5, mode="nearest"), 2, 3, 5, 6),
    "interpolate_exact": of(lambda x: F.interpolate(x, size=(7, 3), mode="nearest-exact"), 2, 3, 5, 6),
    "interpolate_3d": of(lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), 1, 2, 3, 4, 5),
    "grid_sample": two(lambda x, y: F.grid_sample(x, y.tanh() * 1.2, mode="bilinear", padding_mode="reflection",
                                                  align_corners=False), Floats("n", 3, 5, 6), Floats("n", 4, "m", 2)),
    "grid_sample_cubic": two(lambda x, y: F.grid_sample(x, y.tanh() * 1.2, mode="bicubic", padding_mode="border",
                                                        align_corners=True), Floats("n", 3, 5, 6), Floats("n", 4, "m", 2)),
    "affine_grid": of(lambda x: F.affine_grid(x, [x.shape[0], 3, 4, 5], align_corners=False), 2, 2, 3, other={"m": 3}),
    "pad_reflect": of(lambda x: F.pad(x, (2, 1), mode="reflect"), 2, 3, 6),
    "pad_circular": of(lambda x: F.pad(x, (2, 1), mode="circular"), 2, 3, 6),
    "pad_replicate": of(lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"), 2, 3, 4, 5),
    "pad_negative": of(lambda x: F.pad(x, (-1, 2), value=3.0), 2, 3, 6),
    "adaptive_avg": of(lambda x: F.adaptive_avg_pool2d(x, (2, 3)), 2, 3, 4, 6, other={"m": 6}),
    "adaptive_max": of(lambda x: F.adaptive_max_pool2d(x, (1, 1)), 2, 3, 4, 6),
    "avg_pool_ceil": of(lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), 2, 3, 6, 8),
    "max_pool_indices": of(lambda x: F.max_pool2d(x, 2, return_indices=True), 2, 3, 6, 8),
    "lp_pool": of(lambda x: F.lp_pool1d(x.abs(), 2.0, 3), 2, 3, 9),
    "max_unpool": of(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), 2, 3, 6, 8, other={"m": 8}),
    "conv_transpose_3d": net(lambda: nn.ConvTranspose3d(3, 4, 3, stride=2, padding=1, output_padding=1), 2, 3, 3, 4, 5),
    "conv_transpose_groups": net(lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), groups=2, dilation=2), 2, 4, 5, 6),
    "conv_circular": net(lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), 2, 3, 6, 7),
    "conv_same": net(lambda: nn.Conv1d(3, 4, 4, padding="same", dilation=2), 2, 3, 12),
    "lstm": net(lambda: nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True), 2, 6, 5),
    "lstm_projected": net(lambda: nn.LSTM(5, 6, proj_size=3, batch_first=True), 2, 6, 5),
    "gru": net(lambda: nn.GRU(5, 4, num_layers=2, bidirectional=True, batch_first=True), 2, 6, 5),
    "rnn": net(lambda: nn.RNN(5, 4, nonlinearity="relu", batch_first=True), 2, 6, 5),
    "lstm_cell": net(lambda: nn.LSTMCell(5, 4), 3, 5),
    "multihead": net(lambda: (lambda m: lambda x: m(x, x, x, need_weights=True))(
        nn.MultiheadAttention(8, 2, batch_first=True).eval()), 2, 5, 8),
    "encoder_layer": net(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), 2, 5, 8),
    "transformer": net(lambda: (lambda t: lambda x: t(x, x[:, :3]))(
        nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()), 2, 5, 8),
    "sdpa_causal": of(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), 2, 3, 5, 8, other={"m": 8}),
    "group_norm": net(lambda: nn.GroupNorm(2, 4), 2, 4, 5, 6),
    "instance_norm": net(lambda: nn.InstanceNorm2d(4, affine=True), 2, 4, 5, 6),
    "local_response": of(lambda x: F.local_response_norm(x, 3), 2, 5, 4, 4),
    "rms_norm": net(lambda: nn.RMSNorm(6), 2, 5, 6),
    "weight_norm": net(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), 2, 6),
    "bilinear": two(nn.Bilinear(4, 5, 3), Floats("n", 4), Floats("n", 5)),
    "normalize": of(lambda x: F.normalize(x, dim=1), 2, 3, 4),
    "cosine": two(lambda x, y: F.cosine_similarity(x, y, dim=1), Floats("n", "m"), Floats("n", "m")),
    "var_mean": of(lambda x: torch.var_mean(x, dim=(1, 2), correction=1), 2, 3, 4),
    "std": of(lambda x: x.std(dim=-1, keepdim=True), 2, 3, 4),
    "logsumexp": of(lambda x: torch.logsumexp(x, (0, 2)), 2, 3, 4),
    "norms": of(lambda x: (x.norm(p=1, dim=1), x.norm(dim=2), torch.linalg.vector_norm(x, ord=float("inf"))), 2, 3, 4),
    "median": of(lambda x: x.median(dim=1), 2, 5),
    "aminmax": of(lambda x: torch.aminmax(x, dim=1), 2, 5),
    "prod_any_all": of(lambda x: (x.prod(1), (x > 0).any(1), (x > -3).all(0)), 3, 4),
    "argmax": of(lambda x: (x.argmax(), x.argmax(1), x.argmin(0)), 3, 4),
    "activations": of(lambda x: (F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.mish(x), F.hardswish(x),
                                 F.softplus(x, 2.0, 1.0), F.celu(x), F.elu(x), F.selu(x), F.hardtanh(x), F.relu6(x)), 3, 5),
    "more_activations": of(lambda x: (F.glu(x), F.hardsigmoid(x), F.hardshrink(x), F.softshrink(x), F.tanhshrink(x),
                                      F.softsign(x), F.logsigmoid(x), F.threshold(x, 0.1, 2.0), F.rrelu(x)), 3, 6),
    "mathematics": of(lambda x: (x.erf(), x.exp(), x.log1p(), x.expm1(), x.sqrt(), x.rsqrt(), x.sinh(), x.atan(), x.asinh(),
                                 x.ceil(), x.round(), x.trunc(), x.frac(), x.sign(), x.log2(), x.log10()), 3, 5, low=0.1),
    "trigonometry": of(lambda x: (x.sin(), x.cos(), x.tan(), x.asin(), x.acos(), torch.atan2(x, 1 - x),
                                  torch.hypot(x, x + 1)), 3, 5, low=0.0, scale=0.9),
    "remainders": two(lambda x, y: (x % 0.7, torch.fmod(x, y + 3), torch.remainder(x, y - 3), x // 0.3), Floats("n", "m"),
                      Floats("n", "m")),
    "powers": of(lambda x: (x ** 2, x ** -1.5, 2.0 ** x, x ** 0.5), 3, 5, low=0.2),
    "integers": two(lambda x, y: (x // (y + 1), x % (y + 1), x & y, x | y, x ^ y, ~x, x << 1, x >> 1), Ids("n", "m"),
                    Ids("n", "m")),
    "compares": two(lambda x, y: (x > y, x.eq(y), torch.isclose(x, y), torch.isnan(x / y), torch.logical_xor(x > 0, y > 0)),
                    Floats("n", "m"), Floats("n", "m")),
    "clamps": two(lambda x, y: (x.clamp(min=-0.5), x.clamp(-0.5, 0.5), torch.clamp(x, max=y), torch.lerp(x, y, 0.3),
                                torch.maximum(x, y), torch.addcmul(x, y, y, value=0.5)), Floats("n", "m"), Floats("n", "m")),
    "arange": of(lambda x: torch.arange(x.shape[0]).float() + x[:, 0] + torch.linspace(0, 1, 3).sum(), 3, 4),
    "meshgrid": two(lambda x, y: torch.meshgrid(x, y, indexing="ij"), Floats("n"), Floats("m")),
    "full_like": of(lambda x: (torch.full_like(x, 3), torch.ones(x.shape[0], 2), x.new_zeros(3, x.shape[1])), 3, 4),
    "shapes": of(lambda x: (x.view(x.shape[0], -1), x.flatten(), x.transpose(1, 2).reshape(-1, 3), x.unsqueeze(1).expand(
        -1, 4, -1, -1), x.movedim(0, 2), x.narrow(1, 1, 2), x[..., ::2], x[:, -1]), 2, 3, 4),
    "splits": of(lambda x: (*x.split(2, 1), *x.chunk(3, 1), *x.unbind(1), *x.tensor_split(2, dim=1)), 2, 5, 4),
    "joins": two(lambda x, y: (torch.cat([x, y], 0), torch.stack([x, x * 2], 1), torch.hstack([x, x])), Floats("n", 4),
                 Floats("m", 4)),
    "as_strided": lambda: Net(Call(lambda x: x.as_strided((2, 3), (1, 2), 1)), {"x": Floats(3, 4)}, scale=False),
    "casts": of(lambda x: (x.half().float(), x.double() * 2, (x * 9).int(), (x > 0).long(), (x * 9).to(torch.uint8)), 3, 4,
                low=0.0),
    "dtype_mix": two(lambda x, y: x * y + y / 3, Floats("n", "m"), Ids("n", "m")),
    "stft": lambda: Net(Call(spectrum), {"x": Floats("n", 64)}, {"n": 2}, {"n": 3}, scale=False),
    "fft": of(lambda x: torch.view_as_real(torch.fft.rfft(x)), 2, 16),
    "cross": two(torch.linalg.cross, Floats("n", 3), Floats("n", 3)),
    "det_inverse": of(lambda x: torch.linalg.det(x), 2, 3, 3, other={"m": 3}),
    "histogram": of(lambda x: torch.histc(x, 5, -1, 1), 20, 1),
    "ctc_like": of(lambda x: F.log_softmax(x, dim=-1).argmax(-1), 3, 4, 6),
    "nll": two(lambda x, y: F.cross_entropy(x, y), Floats("n", 9), Ids("n")),
    "losses": two(lambda x, y: (F.mse_loss(x, y), F.l1_loss(x, y, reduction="none"), F.smooth_l1_loss(x, y),
                                F.binary_cross_entropy_with_logits(x, y.sigmoid()), F.kl_div(x, y.softmax(1))),
                  Floats("n", "m"), Floats("n", "m")),
    "script_loop": of(looped, 4, 3),
    "script_while": of(doubled, 4, 3),
    "script_list": of(gathered, 4, 3),
    "cond": of(branch, 4, 3),
}
