"""Nets that people write or take home beside the libraries: detectors with their end inside, graphs, voices, series."""
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

from torch_nets import Floats, Ids, Net


class Call(nn.Module):
    """`f` over the modules of PARTS."""

    def __init__(self, f, **parts):
        super().__init__()
        self.f = f
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, **inputs):
        return self.f(self, **inputs)


def conv(a, b, k=3, s=1, **options):
    return nn.Sequential(nn.Conv2d(a, b, k, s, k // 2, bias=False, **options), nn.BatchNorm2d(b), nn.SiLU())


# Detectors, their end inside.

class Bottleneck(nn.Module):
    """C2f of YOLOv8: split, a chain whose every link is kept, joined."""

    def __init__(self, width):
        super().__init__()
        self.into, self.out = conv(width, width, 1), conv(width // 2 * 3, width, 1)
        self.chain = nn.Sequential(conv(width // 2, width // 2), conv(width // 2, width // 2))

    def forward(self, x):
        a, b = self.into(x).chunk(2, 1)
        return self.out(torch.cat([a, b, b + self.chain(b)], 1))


class Yolo(nn.Module):
    """Three levels with anchors made of their sizes, boxes from a softmax over bins, and what `last` makes of them."""

    def __init__(self, last, classes=4, bins=8):
        super().__init__()
        self.last, self.classes, self.bins = last, classes, bins
        widths = (16, 24, 32)
        self.stem = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2))
        self.levels = nn.ModuleList([nn.Sequential(conv(a, b, 3, 2), Bottleneck(b)) for a, b in zip((16, *widths), widths)])
        self.pool, self.spread = nn.MaxPool2d(5, 1, 2), conv(96, 32, 1)
        self.up = nn.ModuleList([conv(56, 24, 1), conv(40, 16, 1)])
        self.boxes = nn.ModuleList([nn.Conv2d(w, 4 * bins, 1) for w in widths])
        self.scores = nn.ModuleList([nn.Conv2d(w, classes, 1) for w in widths])

    def features(self, x):
        x, levels = self.stem(x), []
        for level in self.levels:
            x = level(x)
            levels.append(x)
        once = self.pool(levels[2])
        levels[2] = self.spread(torch.cat([levels[2], once, self.pool(once)], 1))
        for k in (1, 0):
            joined = torch.cat([F.interpolate(levels[k + 1], scale_factor=2.0, mode="nearest"), levels[k]], 1)
            levels[k] = self.up[1 - k](joined)
        return levels

    def forward(self, x):
        boxes, scores = [], []
        for k, level in enumerate(self.features(x)):
            height, width = level.shape[2:]
            y, w = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            points = torch.stack([w, y], -1).reshape(1, -1, 2)
            bins = self.boxes[k](level).reshape(x.shape[0], 4, self.bins, -1).softmax(2)
            sides = (bins * torch.arange(self.bins, dtype=torch.float32)[None, None, :, None]).sum(2).transpose(1, 2)
            boxes.append(torch.cat([points - sides[..., :2], points + sides[..., 2:]], -1) * 2.0 ** (k + 3))
            scores.append(self.scores[k](level).flatten(2).transpose(1, 2).sigmoid())
        return self.last(torch.cat(boxes, 1), torch.cat(scores, 1))


def best_of_one(boxes, scores):
    """The first image's boxes, of each class apart."""
    best, kind = scores[0].max(1)
    kept = torchvision.ops.batched_nms(boxes[0], best, kind, 0.5)[:20]
    return boxes[0][kept], best[kept], kind[kept]


def best_above(boxes, scores):
    """Those above a threshold, then the best of overlapping ones."""
    best, kind = scores[0].max(1)
    chosen = (best > 0.5).nonzero().squeeze(1)
    kept = torchvision.ops.nms(boxes[0][chosen], best[chosen], 0.45)
    return boxes[0][chosen][kept], best[chosen][kept], kind[chosen][kept]


def best_without(boxes, scores):
    """YOLOv10: the best scores, no suppression."""
    top = scores.max(-1).values.topk(12, 1).indices
    boxes = boxes.gather(1, top[..., None].expand(-1, -1, 4))
    values, at = scores.gather(1, top[..., None].expand(-1, -1, scores.shape[-1])).flatten(1).topk(12, 1)
    return boxes.gather(1, (at // scores.shape[-1])[..., None].expand(-1, -1, 4)), values, at % scores.shape[-1]


def yolo(last, batch=1):
    return Net(Yolo(last), {"x": Floats("batch", 3, "height", "width")}, {"batch": batch, "height": 64, "width": 96},
               {"batch": batch, "height": 96, "width": 64})


def anchors():
    """The head of YOLOv5 and v7: anchors times grids, in place of distances."""
    sizes = torch.tensor([[[10.0, 13], [16, 30], [33, 23]], [[30.0, 61], [62, 45], [59, 119]]])

    def f(m, x):
        out = []
        for k, level in enumerate((m.a(x), m.b(m.a(x)))):
            batch, _, height, width = level.shape
            level = m.heads[k](level).view(batch, 3, 9, height, width).permute(0, 1, 3, 4, 2).sigmoid()
            y, w = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grid = torch.stack([w, y], 2).expand(1, 3, height, width, 2).float() - 0.5
            centre, size, rest = level.split((2, 2, 5), 4)
            size = (size * 2) ** 2 * m.sizes[k].view(1, 3, 1, 1, 2)
            out.append(torch.cat([(centre * 2 + grid) * 8 * 2 ** k, size, rest], 4).view(batch, -1, 9))
        return torch.cat(out, 1)
    module = Call(f, a=nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 4)), b=conv(16, 16, 3, 2),
                  heads=nn.ModuleList([nn.Conv2d(16, 27, 1), nn.Conv2d(16, 27, 1)]))
    module.register_buffer("sizes", sizes)
    return Net(module, {"x": Floats("batch", 3, "height", "width")}, {"batch": 1, "height": 64, "width": 96},
               {"batch": 2, "height": 96, "width": 64})


def centres():
    """CenterNet: peaks of a map of heat are points, their neighbours fall away."""
    def f(m, x):
        x = m.body(x)
        heat, size = m.heat(x).sigmoid(), m.size(x)
        heat = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)
        values, at = heat.flatten(1).topk(10, 1)
        place = at % (heat.shape[2] * heat.shape[3])
        sizes = size.flatten(2).gather(2, place[:, None].expand(-1, 2, -1))
        return values, place % heat.shape[3], place // heat.shape[3], sizes
    return Net(Call(f, body=nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2)), heat=nn.Conv2d(16, 3, 1),
                    size=nn.Conv2d(16, 2, 1)), {"x": Floats("batch", 3, "height", "width")},
               {"batch": 2, "height": 32, "width": 48}, {"batch": 1, "height": 48, "width": 48})


def regions():
    """RoiAlign and RoiPool at boxes that are inputs; features deformed by offsets of their own."""
    def f(m, x, boxes):
        x = m.body(x)
        boxes = torch.cat([torch.zeros_like(boxes[:, :1]), boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        return torchvision.ops.roi_align(x, boxes, 4, 0.5, 2, True), m.head(torchvision.ops.roi_align(x, boxes, 3, 0.5).flatten(1))
    return Net(Call(f, body=conv(3, 8, 3, 2), head=nn.Linear(72, 5)),
               {"x": Floats(1, 3, "height", "width"), "boxes": Floats("boxes", 4, scale=15, low=1)},
               {"height": 32, "width": 48, "boxes": 5}, {"height": 48, "width": 32, "boxes": 9})


# Graphs: nodes and edges, both open.

EDGES = {"x": Floats("nodes", 8), "edges": Ids(2, "edges", high=6)}
GRAPH, LARGER = {"nodes": 6, "edges": 11}, {"nodes": 9, "edges": 20}


def degrees(edges, like):
    return torch.zeros(like.shape[0]).index_add(0, edges[1], torch.ones(edges.shape[1]))


def graph(f, inputs=None, **parts):
    return Net(Call(f, **parts), inputs or EDGES, GRAPH, LARGER)


def gcn():
    def layer(linear, x, edges, degree):
        norm = degree[edges[0]].rsqrt() * degree[edges[1]].rsqrt()
        x = linear(x)
        return torch.zeros_like(x).index_add(0, edges[1], x[edges[0]] * norm[:, None]) + x / degree[:, None]

    def f(m, x, edges):
        degree = degrees(edges, x) + 1
        return layer(m.b, F.relu(layer(m.a, x, edges, degree)), edges, degree).log_softmax(-1)
    return graph(f, a=nn.Linear(8, 16), b=nn.Linear(16, 3))


def gat():
    """Attention over each node's edges: a softmax whose rows are scattered."""
    def f(m, x, edges):
        source, target = edges[0], edges[1]
        h = m.w(x).view(-1, 2, 8)
        score = F.leaky_relu((h * m.left).sum(-1)[source] + (h * m.right).sum(-1)[target], 0.2)
        at = target[:, None].expand_as(score)
        top = torch.full((x.shape[0], 2), -1e9).scatter_reduce(0, at, score, "amax")
        e = (score - top[target]).exp()
        total = torch.zeros(x.shape[0], 2).scatter_add(0, at, e)
        weight = (e / total[target])[..., None]
        return torch.zeros_like(h).index_add(0, target, h[source] * weight).flatten(1)
    module = Call(f, w=nn.Linear(8, 16))
    module.left, module.right = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.randn(2, 8))
    return Net(module, EDGES, GRAPH, LARGER)


def reduced(how):
    def f(m, x, edges):
        at = edges[1][:, None].expand(-1, 8)
        return m.a(x) + m.b(torch.zeros_like(x).scatter_reduce(0, at, x[edges[0]], how, include_self=False))
    return lambda: graph(f, a=nn.Linear(8, 8), b=nn.Linear(8, 8))


def edge_net():
    """MeshGraphNet: edges hold features too; a graph's mean at the end."""
    def f(m, x, edges, features):
        e = features + m.edge(torch.cat([x[edges[0]], x[edges[1]], features], 1))
        x = x + m.node(torch.cat([x, torch.zeros(x.shape[0], 4).index_add(0, edges[1], e)], 1))
        return x, e, x.mean(0)
    return graph(f, {**EDGES, "features": Floats("edges", 4)},
                 edge=nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 4), nn.LayerNorm(4)),
                 node=nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8), nn.LayerNorm(8)))


def molecules():
    """Several graphs in one: each node says whose it is; distances make the edges' weights (SchNet)."""
    def f(m, x, place, edges, owner):
        far = (place[edges[0]] - place[edges[1]]).norm(dim=-1)
        basis = torch.exp(-4 * (far[:, None] - torch.linspace(0, 3, 8)) ** 2)
        x = x + m.out(torch.zeros_like(x).index_add(0, edges[1], x[edges[0]] * m.filter(basis)))
        return torch.zeros(3, 8).index_add(0, owner, x)
    return graph(f, {"x": Floats("nodes", 8), "place": Floats("nodes", 3), "edges": Ids(2, "edges", high=6),
                     "owner": Ids("nodes", high=3)},
                 filter=nn.Sequential(nn.Linear(8, 8), nn.Softplus()), out=nn.Linear(8, 8))


def neighbours():
    """DGCNN: the nearest of each point by a product, gathered, their largest feature."""
    def f(m, x):
        far = (x ** 2).sum(2, keepdim=True) - 2 * x @ x.transpose(1, 2) + (x ** 2).sum(2)[:, None]
        near = far.topk(4, largest=False).indices
        batch = torch.arange(x.shape[0])[:, None, None]
        near = x[batch, near]
        own = x[:, :, None].expand_as(near)
        return m.last(m.edge(torch.cat([own, near - own], -1)).amax(2)).amax(1)
    return Net(Call(f, edge=nn.Sequential(nn.Linear(6, 16), nn.ReLU()), last=nn.Linear(16, 8)),
               {"x": Floats("batch", "points", 3)}, {"batch": 2, "points": 9}, {"batch": 1, "points": 14})


def points():
    """PointNet: a transform that the points choose, then a maximum over all of them."""
    def f(m, x):
        turn = m.turn(x).amax(1).view(-1, 3, 3) + torch.eye(3)
        return m.head(m.body(x @ turn).amax(1))
    return Net(Call(f, turn=nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 9)),
                    body=nn.Sequential(nn.Linear(3, 16), nn.ReLU()), head=nn.Linear(16, 4)),
               {"x": Floats("batch", "points", 3)}, {"batch": 2, "points": 9}, {"batch": 1, "points": 14})


# Voices and waves.

class Style(nn.Module):
    """A style vector scales and shifts what an instance norm made."""

    def __init__(self, width, style):
        super().__init__()
        self.norm, self.turn = nn.InstanceNorm1d(width, affine=True), nn.Linear(style, 2 * width)

    def forward(self, x, style):
        gain, shift = self.turn(style)[:, :, None].chunk(2, 1)
        return (1 + gain) * self.norm(x) + shift


class Snake(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, width, 1))

    def forward(self, x):
        return x + torch.sin(self.alpha * x) ** 2 / self.alpha


def alignment(durations, frames):
    """Each token as many frames as it lasts: [batch, tokens, frames]."""
    ends = durations.cumsum(1)
    at = torch.arange(frames)[None, None]
    return ((at < ends[..., None]) & (at >= (ends - durations)[..., None])).float()


def kokoro():
    """StyleTTS 2 in small: LSTMs, durations that make the length, AdaIN, a decoder of waves with an inverse STFT."""
    def f(m, tokens, style):
        x = m.table(tokens)
        x = m.lstm(m.conv(x.transpose(1, 2)).relu().transpose(1, 2))[0]
        lasts = (m.lasts(torch.cat([x, style[:, None].expand(-1, x.shape[1], -1)], 2)).sigmoid().sum(-1)).round().clamp(min=1)
        frames = torch.repeat_interleave(x[0], lasts[0].long(), dim=0).transpose(0, 1)[None]
        x = m.snake(m.style(frames, style))
        x = m.up(x) + F.interpolate(m.skip(frames), scale_factor=4.0, mode="linear")
        spectrum = m.spectrum(F.pad(x, (1, 0), mode="reflect"))
        size, phase = spectrum[:, :9].exp().clamp(max=10), torch.sin(spectrum[:, 9:])
        real, imag = size * torch.cos(phase), size * torch.sin(phase)
        return F.conv_transpose1d(torch.cat([real, imag], 1), m.basis, stride=4), lasts
    k, n = torch.arange(9)[:, None], torch.arange(16)[None]
    angle = 2 * torch.pi * k * n / 16
    module = Call(f, table=nn.Embedding(40, 16), conv=nn.utils.parametrizations.weight_norm(nn.Conv1d(16, 16, 5, padding=2)),
                  lstm=nn.LSTM(16, 8, batch_first=True, bidirectional=True), lasts=nn.Linear(24, 6), style=Style(16, 8),
                  snake=Snake(16), up=nn.ConvTranspose1d(16, 16, 8, 4, 2), skip=nn.Conv1d(16, 16, 1),
                  spectrum=nn.Conv1d(16, 18, 7, padding=3))
    module.register_buffer("basis", torch.cat([torch.cos(angle), -torch.sin(angle)])[:, None] / 16)
    return Net(module, {"tokens": Ids(1, "seq", high=40), "style": Floats(1, 8)}, {"seq": 7}, {"seq": 12})


def fast_speech():
    """Durations lengthen states by a matrix; a net of convolutions is behind it."""
    def f(m, tokens, frames):
        x = m.coder(m.table(tokens))
        lasts = m.lasts(x).squeeze(-1).exp().ceil().clamp(1, 3)
        x = alignment(lasts, frames.shape[1]).transpose(1, 2) @ x
        return m.post((x + frames).transpose(1, 2)), lasts
    coder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True), 1, enable_nested_tensor=False)
    return Net(Call(f, table=nn.Embedding(40, 16), coder=coder, lasts=nn.Linear(16, 1),
                    post=nn.Sequential(nn.Conv1d(16, 16, 5, padding=2), nn.BatchNorm1d(16), nn.Tanh())),
               {"tokens": Ids("batch", "seq", high=40), "frames": Floats("batch", "frames", 16)},
               {"batch": 2, "seq": 7, "frames": 15}, {"batch": 1, "seq": 9, "frames": 22})


def voice_activity():
    """Silero: frames of a wave through an STFT by convolution, and an LSTM whose state the caller keeps."""
    def f(m, wave, state):
        x = F.conv1d(F.pad(wave[:, None], (0, 16), mode="reflect"), m.basis, stride=16)
        size = (x[:, :17] ** 2 + x[:, 17:] ** 2 + 1e-6).sqrt()
        out, (h, c) = m.lstm(m.body(size).permute(2, 0, 1), (state[:1], state[1:]))
        return m.head(out.relu()).sigmoid().mean(0), torch.cat([h, c])
    k, n = torch.arange(17)[:, None], torch.arange(32)[None]
    module = Call(f, body=nn.Sequential(nn.Conv1d(17, 16, 3, padding=1), nn.ReLU()), lstm=nn.LSTM(16, 8), head=nn.Linear(8, 1))
    module.register_buffer("basis", torch.cat([torch.cos(2 * torch.pi * k * n / 32), torch.sin(2 * torch.pi * k * n / 32)])[:, None])
    return Net(module, {"wave": Floats("batch", "time"), "state": Floats(2, "batch", 8)}, {"batch": 2, "time": 128},
               {"batch": 1, "time": 256})


def wavenet():
    def f(m, x):
        x, kept = m.into(x), 0
        for k in range(3):
            a, b = m.gates[k](F.pad(x, (2 ** k, 0))).chunk(2, 1)
            y = torch.tanh(a) * torch.sigmoid(b)
            kept, x = kept + m.skips[k](y), x + m.outs[k](y)
        return m.last(kept.relu())
    return Net(Call(f, into=nn.Conv1d(1, 8, 1), last=nn.Conv1d(8, 4, 1), skips=nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3)),
                    outs=nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3)),
                    gates=nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2 ** k) for k in range(3))),
               {"x": Floats("batch", 1, "time")}, {"batch": 2, "time": 24}, {"batch": 1, "time": 40})


def demucs():
    """A U-net of waves with an LSTM at its bottom."""
    def f(m, x):
        mean, std = x.mean((1, 2), keepdim=True), x.std((1, 2), keepdim=True)
        a = F.glu(m.mix(m.down(( x - mean) / (1e-5 + std)).relu()), 1)
        b = m.lstm(a.permute(2, 0, 1))[0]
        return m.up(m.linear(b).permute(1, 2, 0) + a) * std + mean
    return Net(Call(f, down=nn.Conv1d(2, 8, 8, 4, 2), mix=nn.Conv1d(8, 16, 1), lstm=nn.LSTM(8, 8, 2, bidirectional=True),
                    linear=nn.Linear(16, 8), up=nn.ConvTranspose1d(8, 2, 8, 4, 2)),
               {"x": Floats("batch", 2, "time")}, {"batch": 2, "time": 64}, {"batch": 1, "time": 96})


def ocr():
    """CRNN: columns of a line of text through an LSTM; the best letter of each, once where it repeats."""
    def f(m, x):
        x = m.body(x).mean(2).permute(2, 0, 1)
        x = m.head(m.lstm(x)[0])
        best = x.argmax(-1)
        new = torch.cat([torch.ones_like(best[:1], dtype=torch.bool), best[1:] != best[:-1]]) & (best != 0)
        return x.log_softmax(-1), torch.where(new, best, 0)
    return Net(Call(f, body=nn.Sequential(conv(1, 8), nn.MaxPool2d(2), conv(8, 16), nn.MaxPool2d((2, 1))),
                    lstm=nn.LSTM(16, 12, bidirectional=True), head=nn.Linear(24, 11)),
               {"x": Floats("batch", 1, 32, "width")}, {"batch": 2, "width": 40}, {"batch": 1, "width": 64})


# Series, states, recommendations, fields.

def nbeats():
    def f(m, x):
        out = 0
        for block in m.blocks:
            theta = block(x)
            x, out = x - theta[:, :24], out + theta[:, 24:]
        return out
    return Net(Call(f, blocks=nn.ModuleList(nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 30)) for _ in range(3))),
               {"x": Floats("batch", 24)}, {"batch": 2}, {"batch": 5})


def dlinear():
    """A moving average splits trend and season."""
    def f(m, x):
        padded = torch.cat([x[:, :1].repeat(1, 2, 1), x, x[:, -1:].repeat(1, 2, 1)], 1)
        trend = F.avg_pool1d(padded.transpose(1, 2), 5, 1)
        return (m.trend(trend) + m.season(x.transpose(1, 2) - trend)).transpose(1, 2)
    return Net(Call(f, trend=nn.Linear(24, 6), season=nn.Linear(24, 6)), {"x": Floats("batch", 24, "channels")},
               {"batch": 2, "channels": 3}, {"batch": 3, "channels": 5})


def inverted():
    """iTransformer: channels are the tokens, each scaled to its own mean and spread and back."""
    def f(m, x):
        mean, std = x.mean(1, keepdim=True), (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return m.out(m.coder(m.into(((x - mean) / std).transpose(1, 2)))).transpose(1, 2) * std + mean
    coder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True), 2,
                                  enable_nested_tensor=False)
    return Net(Call(f, into=nn.Linear(24, 16), coder=coder, out=nn.Linear(16, 6)), {"x": Floats("batch", 24, "channels")},
               {"batch": 2, "channels": 3}, {"batch": 3, "channels": 5})


def times():
    """TimesNet: a period that the spectrum names folds the series into an image."""
    def f(m, x):
        size = torch.fft.rfft(x, dim=1).abs().mean((0, 2))
        weight = size[1:5].softmax(0)
        images = [F.pad(x, (0, 0, 0, -24 % p)).reshape(x.shape[0], -1, p, 4).permute(0, 3, 1, 2) for p in (4, 6, 7)]
        out = [m.body(i).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4)[:, :24] for i in images]
        return x + sum(o * w for o, w in zip(out, weight))
    return Net(Call(f, body=nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 4, 3, padding=1))),
               {"x": Floats("batch", 24, 4)}, {"batch": 2}, {"batch": 3})


def operator_net():
    """FNO: weights multiply low frequencies."""
    def f(m, x):
        spectrum = torch.fft.rfft2(x)
        low = torch.einsum("bixy,ioxy->boxy", torch.view_as_real(spectrum)[:, :, :4, :4, 0], m.w)
        return m.skip(x) + torch.fft.irfft2(torch.complex(F.pad(low, (0, 5, 0, 12)), torch.zeros(x.shape[0], 3, 16, 9)), s=(16, 16))
    module = Call(f, skip=nn.Conv2d(3, 3, 1))
    module.w = nn.Parameter(torch.randn(3, 3, 4, 4))
    return Net(module, {"x": Floats("batch", 3, 16, 16)}, {"batch": 2}, {"batch": 3})


def long_conv():
    """Hyena and S4: a convolution as long as the sequence, by its spectrum."""
    def f(m, x):
        n = x.shape[-1]
        a, b, c = m.into(x).chunk(3, 1)
        y = torch.fft.irfft(torch.fft.rfft(a * b, n=2 * n) * torch.fft.rfft(m.kernel[:, :n], n=2 * n), n=2 * n)[..., :n]
        return m.out(y * c)
    module = Call(f, into=nn.Conv1d(8, 24, 1), out=nn.Conv1d(8, 8, 1))
    module.kernel = nn.Parameter(torch.randn(8, 64))
    return Net(module, {"x": Floats("batch", 8, 32)}, {"batch": 2}, {"batch": 3})


def dlrm():
    """Tables of categories, their sums, all pairs of products."""
    def f(m, dense, ids):
        rows = [m.bottom(dense)] + [table(ids[:, k]).sum(1) for k, table in enumerate(m.tables)]
        x = torch.stack(rows, 1)
        pairs = torch.bmm(x, x.transpose(1, 2))
        i, j = torch.tril_indices(4, 4, -1)
        return m.top(torch.cat([rows[0], pairs[:, i, j]], 1)).sigmoid()
    return Net(Call(f, bottom=nn.Sequential(nn.Linear(5, 8), nn.ReLU()), tables=nn.ModuleList(nn.Embedding(20, 8) for _ in range(3)),
                    top=nn.Sequential(nn.Linear(14, 16), nn.ReLU(), nn.Linear(16, 1))),
               {"dense": Floats("batch", 5), "ids": Ids("batch", 3, "bag", high=20)}, {"batch": 3, "bag": 4}, {"batch": 5, "bag": 2})


def bags():
    def f(m, ids, offsets):
        return m.bag(ids, offsets)
    class Starts(Ids):
        def make(self, dims, rng):
            return torch.arange(dims[0]) * 2
    return Net(Call(f, bag=nn.EmbeddingBag(20, 8, mode="mean")), {"ids": Ids("ids", high=20), "offsets": Starts("bags")},
               {"ids": 9, "bags": 3}, {"ids": 14, "bags": 5})


def deep_fm():
    def f(m, ids):
        x = m.table(ids + torch.arange(4) * 10)
        pairs = (x.sum(1) ** 2 - (x ** 2).sum(1)).sum(1, keepdim=True) / 2
        return (m.first(ids + torch.arange(4) * 10).sum(1) + pairs + m.deep(x.flatten(1))).sigmoid()
    return Net(Call(f, table=nn.Embedding(40, 8), first=nn.Embedding(40, 1),
                    deep=nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))), {"ids": Ids("batch", 4, high=10)},
               {"batch": 3}, {"batch": 6})


def actor():
    """A policy with a clipped action, masked choices, and a memory that the caller keeps."""
    def f(m, x, mask, state):
        h = m.cell(m.body(x), state)
        logits = m.choice(h).masked_fill(mask == 0, float("-inf"))
        mean, spread = m.act(h).chunk(2, -1)
        return logits.softmax(-1), logits.argmax(-1), torch.tanh(mean), spread.clamp(-5, 2).exp(), h
    return Net(Call(f, body=nn.Sequential(nn.Linear(6, 16), nn.ELU()), cell=nn.GRUCell(16, 16), choice=nn.Linear(16, 5),
                    act=nn.Linear(16, 4)),
               {"x": Floats("batch", 6), "mask": Ids("batch", 5, high=9), "state": Floats("batch", 16)},
               {"batch": 3}, {"batch": 5})


def splines():
    """KAN: B-splines of each input as features."""
    def f(m, x):
        grid, x = torch.linspace(-2, 2, 9), x[..., None].clamp(-0.9, 0.9)
        b = ((x >= grid[:-1]) & (x < grid[1:])).float()
        for k in range(1, 4):
            b = (x - grid[:-k - 1]) / (grid[k:-1] - grid[:-k - 1]) * b[..., :-1] + \
                (grid[k + 1:] - x) / (grid[k + 1:] - grid[1:-k]) * b[..., 1:]
        return m.a(b.flatten(1)) + m.b(F.silu(x.squeeze(-1)))
    return Net(Call(f, a=nn.Linear(30, 4), b=nn.Linear(6, 4)), {"x": Floats("batch", 6)}, {"batch": 3}, {"batch": 5})


def radiance():
    """NeRF: rays into points, positions into waves, colours summed along each ray."""
    def f(m, origin, direction):
        far = torch.linspace(1, 3, 16)
        x = origin[:, None] + direction[:, None] * far[:, None]
        waves = torch.cat([x] + [g(x * 2.0 ** k) for k in range(3) for g in (torch.sin, torch.cos)], -1)
        out = m.body(waves)
        alpha = 1 - torch.exp(-F.softplus(out[..., 3]) * 0.125)
        through = torch.log(1 - alpha + 1e-10)
        seen = torch.exp(torch.cumsum(through, 1) - through)
        return ((alpha * seen)[..., None] * out[..., :3].sigmoid()).sum(1)
    return Net(Call(f, body=nn.Sequential(nn.Linear(21, 32), nn.ReLU(), nn.Linear(32, 4))),
               {"origin": Floats("rays", 3), "direction": Floats("rays", 3)}, {"rays": 5}, {"rays": 8})


def packed():
    """An LSTM over rows of unlike lengths."""
    class Lengths(Ids):
        def make(self, dims, rng):
            return torch.arange(dims[0]) + 2
    def f(m, x, lengths):
        rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, (h, _) = m.lstm(rows)
        return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0], h
    return Net(Call(f, lstm=nn.LSTM(6, 8, batch_first=True)), {"x": Floats("batch", 6, 6), "lengths": Lengths("batch")},
               {"batch": 5}, {"batch": 5})


def larger():
    """ESPCN and its kin: a picture through shuffled pixels, over a bicubic one."""
    def f(m, x):
        small = F.avg_pool2d(x, 2)
        return m.body(x).clamp(0, 1) + F.interpolate(small, size=(x.shape[2] * 2, x.shape[3] * 2), mode="bicubic",
                                                     align_corners=False)
    return Net(Call(f, body=nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2))),
               {"x": Floats("batch", 3, "height", "width", low=0)}, {"batch": 1, "height": 12, "width": 16},
               {"batch": 2, "height": 16, "width": 12})


def warped():
    """A spatial transformer: the net turns its own input."""
    def f(m, x):
        theta = m.where(x.mean((2, 3))).view(-1, 2, 3) * 0.1 + torch.tensor([[1.0, 0, 0], [0, 1, 0]])
        return m.body(F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False))
    return Net(Call(f, where=nn.Linear(3, 6), body=conv(3, 8)), {"x": Floats("batch", 3, 12, 16)}, {"batch": 2}, {"batch": 3})


def retention():
    """RetNet: attention without softmax, decaying with distance."""
    def f(m, x):
        q, k, v = m.qkv(x).view(x.shape[0], -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        n = torch.arange(x.shape[1])
        decay = torch.where(n[:, None] >= n, 0.9 ** (n[:, None] - n).abs().float(), 0.0)
        y = ((q @ k.transpose(2, 3)) * decay @ v).transpose(1, 2).flatten(2)
        return F.group_norm(y.transpose(1, 2), 2).transpose(1, 2) * F.silu(m.gate(x))
    return Net(Call(f, qkv=nn.Linear(16, 48), gate=nn.Linear(16, 16)), {"x": Floats("batch", "seq", 16)},
               {"batch": 2, "seq": 7}, {"batch": 1, "seq": 11})


# Loops that stay loops.

@torch.jit.script
def wkv(k, v, r, w, u):
    state = torch.zeros(k.shape[0], k.shape[2], k.shape[3], k.shape[3])
    out = []
    for i in range(k.shape[1]):
        new = k[:, i].unsqueeze(3) * v[:, i].unsqueeze(2)
        out.append((r[:, i].unsqueeze(2) @ (u.unsqueeze(0).unsqueeze(3) * new + state)).squeeze(2))
        state = w[:, i].unsqueeze(3) * state + new
    return torch.stack(out, 1)


def rwkv():
    """Matrices of state that fade by what is read, of RWKV-6."""
    def f(m, x):
        parts = [part(x).view(x.shape[0], -1, 2, 8) for part in m.parts]
        y = wkv(parts[0], parts[1], parts[2], torch.exp(-torch.exp(parts[3])), m.bonus.weight)
        return m.out(y.flatten(2))
    return Net(Call(f, parts=nn.ModuleList([nn.Linear(16, 16) for _ in range(4)]), bonus=nn.Embedding(2, 8), out=nn.Linear(16, 16)),
               {"x": Floats("batch", "time", 16)}, {"batch": 2, "time": 7}, {"batch": 1, "time": 11})


@torch.jit.script
def decoded(x, steps: int):
    ids = torch.zeros(x.shape[0], 1, dtype=torch.int64)
    done = torch.zeros(x.shape[0], dtype=torch.bool)
    i = 0
    while i < steps and not bool(done.all()):
        best = x[torch.arange(x.shape[0]), ids[:, -1]].argmax(1)
        best = torch.where(done, torch.zeros_like(best), best)
        ids = torch.cat([ids, best.unsqueeze(1)], 1)
        done = done | (best == 3)
        i += 1
    return ids, done


def greedy():
    """Words until all rows have ended: what is carried grows."""
    return Net(Call(lambda m, x: decoded(x, 7)), {"x": Floats("batch", 6, 6)}, {"batch": 4}, {"batch": 2}, scale=False)


def scanned():
    """A linear recurrence as torch's scan."""
    def f(m, x):
        def step(state, now):
            state = state * 0.9 + torch.tanh(m.step(now))
            return state, state * 2
        return scan(step, x[0] * 0, x)
    return Net(Call(f, step=nn.Linear(8, 8)), {"x": Floats("time", 3, 8)}, {"time": 6}, {"time": 9})


def until():
    """torch's while_loop, which the data ends."""
    def f(m, x):
        return while_loop(lambda i, v: (i < 20) & (v.abs().max() < 100.0), lambda i, v: (i + 1, m.step(v) * 1.5),
                          (torch.tensor(0), x))
    return Net(Call(f, step=nn.Linear(3, 3)), {"x": Floats("batch", 3)}, {"batch": 4}, {"batch": 2})


def deformed():
    """A convolution whose taps are moved by what another says."""
    def f(m, x):
        return m.body(x, m.where(x), m.mask(x).sigmoid())
    return Net(Call(f, where=nn.Conv2d(3, 18, 3, padding=1), mask=nn.Conv2d(3, 9, 3, padding=1),
                    body=torchvision.ops.DeformConv2d(3, 5, 3, padding=1)),
               {"x": Floats("batch", 3, "height", 10)}, {"batch": 2, "height": 9}, {"batch": 1, "height": 12})


NETS = {
    "rwkv": rwkv, "greedy": greedy, "scan": scanned, "while_loop": until, "deformable": deformed,
    "yolo_nms": lambda: yolo(best_of_one), "yolo_above": lambda: yolo(best_above), "yolo_v10": lambda: yolo(best_without, 2),
    "yolo_raw": lambda: yolo(lambda boxes, scores: torch.cat([boxes, scores], -1), 2), "yolo_anchors": anchors,
    "centernet": centres, "regions": regions,
    "gcn": gcn, "gat": gat, "sage_mean": reduced("mean"), "sage_max": reduced("amax"), "edge_prod": reduced("prod"),
    "mesh_graph": edge_net, "schnet": molecules, "dgcnn": neighbours, "pointnet": points,
    "kokoro": kokoro, "fast_speech": fast_speech, "voice_activity": voice_activity, "wavenet": wavenet, "demucs": demucs,
    "ocr": ocr, "nbeats": nbeats, "dlinear": dlinear, "itransformer": inverted, "timesnet": times, "fno": operator_net,
    "hyena": long_conv, "dlrm": dlrm, "bags": bags, "deep_fm": deep_fm, "actor": actor, "kan": splines, "nerf": radiance,
    "packed": packed, "espcn": larger, "spatial_transformer": warped, "retnet": retention,
}
