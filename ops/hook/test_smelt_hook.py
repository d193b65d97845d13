"""Runs with Debian's python3-torch alone: /usr/bin/python3 -m unittest discover ops/hook"""

import copy
import http.server
import json
import logging
import os
import struct
import tempfile
import threading
import time
import types
import unittest

import torch
from torch import nn

import smelt_hook

D, F, E, K = 8, 12, 6, 2


class Expert(nn.Module):
    def __init__(self, d=D, f=F):
        super().__init__()
        self.w1, self.w3 = nn.Linear(d, f, bias=False), nn.Linear(d, f, bias=False)
        self.w2 = nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.w2(torch.nn.functional.silu(self.w1(x)) * self.w3(x))


class SparseBlock(nn.Module):
    """As transformers 4 calculates a Mixtral block."""

    def __init__(self, d=D, f=F, experts=E):
        super().__init__()
        self.gate = nn.Linear(d, experts, bias=False)
        self.experts = nn.ModuleList(Expert(d, f) for _ in range(experts))

    def forward(self, hidden):
        flat = hidden.reshape(-1, hidden.shape[-1])
        weights, ids = torch.topk(torch.softmax(self.gate(flat), -1), K)
        weights = weights / weights.sum(-1, keepdim=True)
        result = torch.zeros_like(flat)
        mask = torch.nn.functional.one_hot(ids, len(self.experts)).permute(2, 1, 0)
        for expert in range(len(self.experts)):
            slot, token = torch.where(mask[expert])
            out = self.experts[expert](flat[token]) * weights[token, slot, None]
            result.index_add_(0, token, out.to(result.dtype))
        return result.reshape(hidden.shape)


def gates_of(logits):
    """Each token's gate weights by expert, zero where one was not chosen: [tokens, experts]."""
    weights, ids = torch.topk(torch.softmax(logits, -1), K)
    return torch.zeros_like(logits).scatter_(1, ids, weights / weights.sum(-1, keepdim=True))


class SwitchRouter(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(D, E, bias=False)

    def forward(self, hidden):
        return self.classifier(hidden).argmax(-1)


class SwitchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = SwitchRouter()
        self.experts = nn.ModuleDict({"expert_%d" % e: nn.Linear(D, D) for e in range(E)})

    def forward(self, hidden):
        ids = self.router(hidden)
        result = hidden.clone()
        for expert in range(E):
            mask = ids == expert
            result[mask] = self.experts["expert_%d" % expert](hidden[mask])
        return result


class ChoosingRouter(nn.Module):
    """A router whose output is a tuple, as those of DeepSeek and gpt-oss are."""

    def __init__(self, form):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(E, D))
        self.form = form

    def forward(self, hidden):
        scores = torch.sigmoid(torch.nn.functional.linear(hidden.reshape(-1, D), self.weight))
        weights, ids = torch.topk(scores, K)
        if self.form == "deepseek":
            return ids, weights
        return torch.zeros_like(scores).scatter_(1, ids, weights), ids


class Routed(nn.Module):
    def __init__(self, name, router):
        super().__init__()
        setattr(self, name, router)
        self.name = name

    def forward(self, hidden):
        getattr(self, self.name)(hidden)
        return hidden


class Layer(nn.Module):
    def __init__(self, name, block):
        super().__init__()
        setattr(self, name, block)
        self.name = name

    def forward(self, hidden):
        return hidden + getattr(self, self.name)(hidden)


class Model(nn.Module):
    def __init__(self, kind, name, make, layers=2, **config):
        super().__init__()
        self.config = types.SimpleNamespace(
            model_type=kind, num_experts_per_tok=K, _name_or_path="", **config)
        self.embed_tokens = nn.Embedding(16, D)
        self.layers = nn.ModuleList(Layer(name, make()) for _ in range(layers))

    def forward(self, ids):
        hidden = self.embed_tokens(ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class Tree(nn.Module):
    """One router under the path that its architecture gives it."""

    def __init__(self, kind, path, router, **config):
        super().__init__()
        self.config = types.SimpleNamespace(model_type=kind, **config)
        self.embed_tokens = nn.Embedding(16, D)
        self.called = [router]
        module, *above = reversed(path.split("."))
        inside = nn.Module()
        inside.add_module(module, router)
        for name in above[:-1]:
            outside = nn.Module()
            outside.add_module(name, inside)
            inside = outside
        self.add_module(above[-1], inside)

    def forward(self, ids):
        return self.called[0](self.embed_tokens(ids).reshape(-1, D))


class Agent(http.server.BaseHTTPRequestHandler):
    """A stand-in for the agent that keeps what is posted."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), parse(body)))
        content = json.dumps({"detail": "as told"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def parse(body):
    (length,) = struct.unpack("<Q", body[:8])
    header = json.loads(body[8:8 + length])
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__":
            begin, end = info["data_offsets"]
            kind = {"I64": torch.int64, "F32": torch.float32, "F64": torch.float64}[info["dtype"]]
            raw = bytearray(body[8 + length + begin:8 + length + end])
            tensors[name] = torch.frombuffer(raw, dtype=kind).reshape(info["shape"])
    assert 8 + length + max(i["data_offsets"][1] for n, i in header.items() if n != "__metadata__") == len(body)
    return header["__metadata__"], tensors


class HookTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)
        logging.getLogger("smelt_hook").setLevel(logging.CRITICAL)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
        self.server.posts, self.server.status = [], 200
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.ids = torch.randint(1, 16, (3, 5))

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def attach(self, model, **options):
        return smelt_hook.attach(model, self.url, "tiny", interval=60, **options)

    def posted(self):
        self.assertEqual(1, len(self.server.posts))
        path, _, (metadata, tensors) = self.server.posts[0]
        self.assertEqual("/v1/tap/tiny", path)
        return metadata, tensors

    def test_should_add_up_what_a_mixtral_router_decides(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        seen = []
        model.layers[0].block_sparse_moe.gate.register_forward_hook(lambda m, a, o: seen.append((a[0], o)))
        with self.attach(model, sample=1.0):
            plain = model(self.ids)
            model(self.ids[:, :1])
        metadata, tensors = self.posted()
        self.assertEqual({"model": "tiny", "requests": "3"}, metadata)
        logits = torch.cat([o for _, o in seen]).double()
        gates = gates_of(logits)
        chosen = (gates > 0).double()
        usage = "layers.0.block_sparse_moe.usage."
        self.assertEqual([18], tensors[usage + "tokens"].tolist())
        self.assertTrue(torch.equal(chosen.sum(0).long(), tensors[usage + "counts"]))
        self.assertTrue(torch.equal((chosen.t() @ chosen).long(), tensors[usage + "co_activation"]))
        torch.testing.assert_close(gates.sum(0), tensors[usage + "gate_mass"], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits.t() @ logits, tensors[usage + "logit_gram"], rtol=1e-5, atol=1e-6)
        inputs = torch.cat([a.reshape(-1, D) for a, _ in seen])
        norms = torch.stack([
            (gates[:, e] * model.layers[0].block_sparse_moe.experts[e](inputs).norm(dim=1)).sum()
            for e in range(E)])
        torch.testing.assert_close(norms, tensors[usage + "output_norms"], rtol=1e-4, atol=1e-5)
        self.assertIn("layers.1.block_sparse_moe.usage.counts", tensors)
        torch.testing.assert_close(plain, model(self.ids))

    def test_should_write_second_moments_weighted_by_the_squared_gate(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        seen = []
        model.layers[0].block_sparse_moe.gate.register_forward_hook(lambda m, a, o: seen.append((a[0], o)))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "live.moments.safetensors")
            with self.attach(model, sample=1.0, moments_file=file):
                model(self.ids)
            self.assertEqual(["live.moments.safetensors"], os.listdir(folder))
            with open(file, "rb") as written:
                _, tensors = parse(written.read())
        inputs, logits = seen[0]
        gates = gates_of(logits)
        block = "layers.0.block_sparse_moe.moments."
        self.assertEqual((gates > 0).sum(0).tolist(), tensors[block + "tokens"].tolist())
        for e in range(E):
            expert = model.layers[0].block_sparse_moe.experts[e]
            hidden = torch.nn.functional.silu(expert.w1(inputs)) * expert.w3(inputs)
            g = gates[:, e, None]
            torch.testing.assert_close((g * inputs).t() @ (g * inputs), tensors[block + "%d.inputs" % e])
            torch.testing.assert_close((g * hidden).t() @ (g * hidden), tensors[block + "%d.activations" % e])

    def test_should_keep_inputs_of_the_layer_where_those_of_each_expert_take_too_much_memory(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        seen = []
        model.layers[0].block_sparse_moe.gate.register_forward_hook(lambda m, a, o: seen.append((a[0], o)))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "live.moments.safetensors")
            with self.attach(model, sample=1.0, moments_file=file, moments_bytes=4 * (D * D + E * F * F)):
                model(self.ids)
            with open(file, "rb") as written:
                _, tensors = parse(written.read())
        inputs, logits = seen[0]
        weights, _ = torch.topk(torch.softmax(logits, -1), K)
        squares = (weights / weights.sum(-1, keepdim=True)).square().sum(-1, keepdim=True)
        block = "layers.0.block_sparse_moe.moments."
        torch.testing.assert_close(inputs.t() @ (squares * inputs), tensors[block + "inputs"])
        self.assertEqual(
            {block + "tokens", block + "inputs"} | {block + "%d.activations" % e for e in range(E)},
            set(tensors))

    def original(self, model, folder):
        """A folder with the experts of a model as a checkpoint has them, in two shards."""
        experts = {
            "layers.%d.block_sparse_moe.experts.%d.%s.weight" % (layer, expert, name): getattr(module, name).weight
            for layer in range(len(model.layers))
            for expert, module in enumerate(model.layers[layer].block_sparse_moe.experts)
            for name in ("w1", "w2", "w3")}
        names = sorted(experts)
        for shard, part in enumerate((names[:20], names[20:])):
            with open(os.path.join(folder, "model-%d.safetensors" % shard), "wb") as file:
                file.write(smelt_hook._safetensors([(name, experts[name].detach()) for name in part], {}))
        return folder

    def moments(self):
        posts = [post for post in self.server.posts if post[0] == "/v1/tap/tiny/moments"]
        return [tensors for _, _, (_, tensors) in posts]

    def expected_moments(self, model, seen):
        inputs, logits = seen
        gates = gates_of(logits)
        for e in range(E):
            expert = model.layers[0].block_sparse_moe.experts[e]
            hidden = torch.nn.functional.silu(expert.w1(inputs)) * expert.w3(inputs) * gates[:, e, None]
            yield float((gates[:, e] > 0).sum()), hidden.t() @ hidden

    def test_should_post_moments_of_the_original_experts_whatever_serves(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        served = copy.deepcopy(model)
        for expert in served.layers[0].block_sparse_moe.experts:
            torch.nn.init.zeros_(expert.w1.weight)
        seen = []
        served.layers[0].block_sparse_moe.gate.register_forward_hook(lambda m, a, o: seen.append((a[0], o)))
        with tempfile.TemporaryDirectory() as folder:
            with self.attach(served, sample=1.0, original=self.original(model, folder)):
                served(self.ids)
        (tensors,) = self.moments()
        block = "layers.0.block_sparse_moe.moments."
        for e, (tokens, activations) in enumerate(self.expected_moments(model, seen[0])):
            self.assertEqual(tokens, tensors[block + "tokens"][e].item())
            if tokens:
                torch.testing.assert_close(activations, tensors[block + "%d.activations" % e])

    def test_should_post_moments_in_parts_that_are_not_too_large(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        with tempfile.TemporaryDirectory() as folder:
            hook = self.attach(model, sample=1.0, original=self.original(model, folder))
            hook._moments._LARGEST_BODY = 2 * 4 * F * F
            model(torch.randint(1, 16, (8, 40)))
            hook.close()
        tokens = [tensors["layers.0.block_sparse_moe.moments.tokens"] for tensors in self.moments()]
        self.assertEqual([2, 2, 2], [int((part > 0).sum()) for part in tokens])
        self.assertEqual(640, sum(tokens).sum())

    def test_should_take_moments_of_the_blocks_in_turn_where_memory_is_short(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with tempfile.TemporaryDirectory() as folder:
            hook = self.attach(
                model, sample=1.0, original=self.original(model, folder), moments_bytes=4 * E * F * F,
                moments_interval=0.01)
            deadline = time.monotonic() + 30
            while len(self.names()) < 2 and time.monotonic() < deadline:
                model(self.ids)
                threading.Event().wait(0.01)
            hook.close()
        self.assertEqual(2, len(self.names()))
        self.assertTrue(all(len(self.tokens_of(tensors)) == 1 for tensors in self.moments()))

    def names(self):
        return {name for tensors in self.moments() for name in self.tokens_of(tensors)}

    @staticmethod
    def tokens_of(tensors):
        return [name for name in tensors if name.endswith(".moments.tokens")]

    def test_should_serve_on_while_nobody_takes_moments(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        self.server.shutdown()
        self.server.server_close()
        with tempfile.TemporaryDirectory() as folder:
            hook = smelt_hook.attach(
                model, self.url, "tiny", interval=0.01, moments_interval=0.01, keep=0, sample=1.0,
                original=self.original(model, folder))
            plain = model(self.ids)
            for _ in range(50):
                torch.testing.assert_close(plain, model(self.ids))
            self.assertEqual(0, hook._failures)
            hook.close()
        self.assertFalse(hook._moments._thread.is_alive())

    def test_should_leave_passes_out_while_moments_are_calculated(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with tempfile.TemporaryDirectory() as folder:
            moments = self.attach(model, sample=0.0, original=self.original(model, folder))._moments
            moments.close()
            decision = types.SimpleNamespace(
                ids=torch.zeros(3, K, dtype=torch.int64), gates=torch.ones(3, E), tokens=torch.ones(3, 1))
            for _ in range(1000):
                moments.offer(moments._blocks[0], torch.ones(3, D), decision)
            self.assertEqual(moments._MOST_WAITING, moments._waiting.qsize())

    GROUPS = [0, 1, 0, 2, 1, -1]

    def merged(self, model, folder, groups="digest"):
        """A folder as smelt compress writes it: a group's expert is the mean of its members."""
        tensors = []
        for layer in range(len(model.layers)):
            block = "layers.%d.block_sparse_moe" % layer
            tensors.append((block + ".experts.map", torch.tensor(self.GROUPS, dtype=torch.int32)))
            for group in range(3):
                for role, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
                    members = [
                        getattr(expert, name).weight.detach()
                        for expert, of in zip(model.layers[layer].block_sparse_moe.experts, self.GROUPS)
                        if of == group]
                    tensors.append(("%s.groups.%d.%s.weight" % (block, group, role), torch.stack(members).mean(0)))
        with open(os.path.join(folder, "smelt-experts.safetensors"), "wb") as file:
            file.write(smelt_hook._safetensors(tensors, {}))
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump({"smelt": {"format": "compact", "version": 1, "groups": groups}}, file)
        return folder

    def refitting(self, model, served=None, **options):
        """The hook, and the folders that it was given."""
        folders = [tempfile.TemporaryDirectory() for _ in range(3)]
        for folder in folders:
            self.addCleanup(folder.cleanup)
        original, merged, refit = (folder.name for folder in folders)
        options.setdefault("sample", 1.0)
        return lambda: self.attach(
            served or model, original=self.original(model, original), merged=self.merged(model, merged),
            refit_folder=refit, **options), refit

    @staticmethod
    def read(folder, layer=0):
        with open(os.path.join(folder, "layers.%d.block_sparse_moe.refit.safetensors" % layer), "rb") as file:
            return parse(file.read())

    def test_should_write_what_merged_experts_are_refitted_to(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        served = copy.deepcopy(model)
        for expert in served.layers[0].block_sparse_moe.experts:
            torch.nn.init.zeros_(expert.w1.weight)
        seen = []
        served.layers[0].block_sparse_moe.gate.register_forward_hook(lambda m, a, o: seen.append((a[0], o)))
        attach, folder = self.refitting(model, served)
        with attach():
            served(self.ids)
        metadata, tensors = self.read(folder)
        self.assertEqual({"model": "tiny", "groups": "digest"}, metadata)
        inputs, logits = seen[0]
        gates = gates_of(logits)
        experts = model.layers[0].block_sparse_moe.experts
        refit = "layers.0.block_sparse_moe.refit."
        for group, members in ((0, (0, 2)), (1, (1, 4))):
            w1, w3 = (torch.stack([getattr(experts[e], name).weight for e in members]).mean(0) for name in ("w1", "w3"))
            hidden = torch.nn.functional.silu(inputs @ w1.t()) * (inputs @ w3.t())
            squared = [gates[:, e, None] ** 2 for e in members]
            self.assertEqual(sum(int((g > 0).sum()) for g in squared), tensors[refit + "tokens"][group].item())
            torch.testing.assert_close(
                sum((g * hidden).t() @ hidden for g in squared), tensors[refit + "%d.activations" % group])
            torch.testing.assert_close(
                sum((g * experts[e](inputs)).t() @ hidden for e, g in zip(members, squared)),
                tensors[refit + "%d.outputs" % group])
        self.assertEqual(0, tensors[refit + "tokens"][2])
        self.assertNotIn(refit + "2.activations", tensors)
        self.assertEqual([], self.moments())

    def test_should_add_to_the_refit_that_was_written_before(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        attach, folder = self.refitting(model)
        with attach():
            model(self.ids)
        _, once = self.read(folder)
        with attach():
            model(self.ids)
        _, twice = self.read(folder)
        self.assertEqual(once.keys(), twice.keys())
        for name in once:
            torch.testing.assert_close(2 * once[name], twice[name])

    def test_should_take_refits_of_the_blocks_in_turn_where_memory_is_short(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        attach, folder = self.refitting(model, moments_bytes=2 * 4 * (F * F + D * F), moments_interval=0.01)
        hook = attach()
        deadline = time.monotonic() + 30
        while len(os.listdir(folder)) < 2 and time.monotonic() < deadline:
            model(self.ids)
            self.assertLessEqual(len(hook._moments._sums), 1)
            threading.Event().wait(0.01)
        hook.close()
        for layer in range(2):
            self.assertGreater(self.read(folder, layer)[1]["layers.%d.block_sparse_moe.refit.tokens" % layer].sum(), 0)

    def test_should_take_no_refit_that_does_not_fit(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        attach, folder = self.refitting(model, moments_bytes=100)
        with attach():
            model(self.ids)
        self.assertEqual([], os.listdir(folder))

    def test_should_leave_padding_and_what_is_not_finite_out_of_the_refit(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1, pad_token_id=0)
        attach, folder = self.refitting(model)
        self.ids[0, :2] = 0
        with attach():
            model(self.ids)
            with torch.no_grad():
                model.embed_tokens.weight[5] = float("nan")
            model(torch.full((1, 4), 5))
        _, tensors = self.read(folder)
        tokens = tensors["layers.0.block_sparse_moe.refit.tokens"]
        self.assertTrue(0 < tokens.sum() <= 26)
        self.assertTrue(all(torch.isfinite(tensor.double()).all() for tensor in tensors.values()))

    def test_should_keep_the_refit_that_it_cannot_write(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        attach, folder = self.refitting(model)
        hook = attach()
        hook._moments._folder = os.path.join(folder, "missing")
        plain = model(self.ids)
        torch.testing.assert_close(plain, model(self.ids))
        hook.close()
        self.assertEqual([], os.listdir(folder))
        hook._moments._folder = folder
        hook._moments._deliver()
        _, tensors = self.read(folder)
        counts = self.server.posts[0][2][1]["layers.0.block_sparse_moe.usage.counts"]
        self.assertEqual(
            counts[[0, 1, 2, 4]].sum(), tensors["layers.0.block_sparse_moe.refit.tokens"].sum())

    def test_should_refuse_a_folder_of_other_merged_experts(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        with tempfile.TemporaryDirectory() as original, tempfile.TemporaryDirectory() as merged, \
                tempfile.TemporaryDirectory() as folder:
            self.original(model, original)
            with self.attach(
                    model, sample=1.0, original=original, merged=self.merged(model, merged), refit_folder=folder):
                model(self.ids)
            with self.assertRaisesRegex(ValueError, "is of other merged experts; choose another refit_folder"):
                self.attach(
                    model, original=original, merged=self.merged(model, merged, "other"), refit_folder=folder)

    def test_should_refuse_folders_that_merged_experts_are_not_whole_in(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        with tempfile.TemporaryDirectory() as original, tempfile.TemporaryDirectory() as merged:
            self.original(model, original)
            self.merged(model, merged)
            options = {"original": original, "merged": merged, "refit_folder": merged + "/refit"}
            with self.assertRaisesRegex(ValueError, "merged, refit_folder and original go together"):
                self.attach(model, merged=merged, refit_folder=merged)
            with open(os.path.join(merged, "smelt-experts.safetensors"), "wb") as file:
                file.write(smelt_hook._safetensors([
                    ("layers.0.block_sparse_moe.experts.map", torch.tensor(self.GROUPS, dtype=torch.int32))], {}))
            with self.assertRaisesRegex(ValueError, "experts of layers.0.block_sparse_moe are not whole"):
                self.attach(model, **options)
            os.unlink(os.path.join(merged, "smelt-experts.safetensors"))
            with self.assertRaisesRegex(ValueError, "no merged experts of layers.0.block_sparse_moe"):
                self.attach(model, **options)
            with open(os.path.join(merged, "config.json"), "w") as file:
                file.write("{}")
            with self.assertRaisesRegex(ValueError, "was not written by smelt compress in the compact form"):
                self.attach(model, **options)

    def test_should_refuse_a_folder_without_the_experts(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(ValueError, "no gated experts of layers.0.block_sparse_moe"):
                self.attach(model, original=folder)

    def test_should_keep_no_moments_that_do_not_fit(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "m")
            with self.attach(model, sample=1.0, moments_file=file, moments_bytes=100):
                model(self.ids)
            self.assertEqual([], os.listdir(folder))

    def test_should_use_the_names_of_the_checkpoint_for_newer_modules(self):
        with self.attach(Model("mixtral", "mlp", lambda: Routed("gate", ChoosingRouter("deepseek")))) as hook:
            self.assertEqual(["layers.0.block_sparse_moe", "layers.1.block_sparse_moe"], hook.blocks)

    def test_should_read_routers_that_choose_themselves(self):
        for kind, router, form in (("deepseek_v3", "gate", "deepseek"), ("gpt_oss", "router", "gpt-oss")):
            with self.subTest(kind):
                self.server.posts.clear()
                model = Model(kind, "mlp", lambda: Routed(router, ChoosingRouter(form)), layers=1)
                with self.attach(model):
                    model(self.ids)
                _, tensors = self.posted()
                weight = getattr(model.layers[0].mlp, router).weight
                logits = model.embed_tokens(self.ids).reshape(-1, D) @ weight.t()
                scores, ids = torch.topk(torch.sigmoid(logits), K)
                gates = torch.zeros(15, E).scatter_(1, ids, scores).sum(0).double()
                usage = "layers.0.mlp.usage."
                self.assertEqual(30, tensors[usage + "counts"].sum())
                torch.testing.assert_close(gates, tensors[usage + "gate_mass"], rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(
                    (logits.t() @ logits).double(), tensors[usage + "logit_gram"], rtol=1e-4, atol=1e-4)

    def test_should_read_switch_blocks(self):
        model = nn.Module()
        model.config = types.SimpleNamespace(model_type="switch_transformers", num_experts=E)
        model.encoder = Model("", "mlp", SwitchBlock, layers=1)
        with self.attach(model, sample=1.0) as hook:
            self.assertEqual(["encoder.layers.0.mlp"], hook.blocks)
            model.encoder(self.ids)
        _, tensors = self.posted()
        self.assertEqual(15, tensors["encoder.layers.0.mlp.usage.counts"].sum())
        self.assertIn("encoder.layers.0.mlp.usage.output_norms", tensors)

    def test_should_find_the_router_of_each_architecture_under_its_name(self):
        linear = lambda: nn.Linear(D, E, bias=False)  # noqa: E731
        choosing = lambda: ChoosingRouter("deepseek")  # noqa: E731
        layer = "model.layers.3."
        for kind, path, make, config, block in (
            ("mixtral", layer + "block_sparse_moe.gate", linear, {"num_experts_per_tok": K}, layer + "block_sparse_moe"),
            ("phimoe", layer + "block_sparse_moe.gate", linear, {"num_experts_per_tok": K}, layer + "block_sparse_moe"),
            ("granitemoe", layer + "block_sparse_moe.router.layer", linear, {"num_experts_per_tok": K},
             layer + "block_sparse_moe"),
            ("qwen2_moe", layer + "mlp.gate", linear, {"num_experts_per_tok": K, "norm_topk_prob": False}, layer + "mlp"),
            ("qwen3_moe", layer + "mlp.gate", linear, {"num_experts_per_tok": K, "norm_topk_prob": True}, layer + "mlp"),
            ("olmoe", layer + "mlp.gate", linear, {"num_experts_per_tok": K, "norm_topk_prob": False}, layer + "mlp"),
            ("deepseek_v2", layer + "mlp.gate", choosing, {"num_experts_per_tok": K}, layer + "mlp"),
            ("deepseek_v3", layer + "mlp.gate", choosing, {"num_experts_per_tok": K}, layer + "mlp"),
            ("gpt_oss", layer + "mlp.router", linear, {"num_experts_per_tok": K}, layer + "mlp"),
            ("llama4_text", layer + "feed_forward.router", linear, {"num_experts_per_tok": K}, layer + "feed_forward"),
            ("switch_transformers", "decoder.block.1.layer.2.mlp.router.classifier", linear, {},
             "decoder.block.1.layer.2.mlp"),
        ):
            with self.subTest(kind):
                self.server.posts.clear()
                model = Tree(kind, path, make(), **config)
                with self.attach(model) as hook:
                    self.assertEqual([block], hook.blocks)
                    model(self.ids)
                _, tensors = self.posted()
                self.assertEqual([15], tensors[block + ".usage.tokens"].tolist())
                chosen = 1 if kind.startswith("switch") else K
                self.assertEqual(15 * chosen, tensors[block + ".usage.counts"].sum())
                self.assertEqual((E, E), tuple(tensors[block + ".usage.logit_gram"].shape))

    def test_should_leave_padding_out(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, pad_token_id=0)
        self.ids[0, :2] = 0
        with self.attach(model, sample=1.0):
            model(self.ids)
        _, tensors = self.posted()
        self.assertEqual([13], tensors["layers.0.block_sparse_moe.usage.tokens"].tolist())
        self.assertEqual(26, tensors["layers.0.block_sparse_moe.usage.counts"].sum())

    def test_should_count_exactly_in_half_precision(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock, layers=1)
        with self.attach(model, sample=1.0), torch.autocast("cpu", dtype=torch.bfloat16):
            model(torch.randint(1, 16, (40, 50)))
        _, tensors = self.posted()
        usage = "layers.0.block_sparse_moe.usage."
        self.assertEqual(4000, tensors[usage + "counts"].sum())
        self.assertEqual(tensors[usage + "counts"].tolist(), tensors[usage + "co_activation"].diagonal().tolist())

    def test_should_keep_sums_while_the_agent_is_away(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        self.server.shutdown()
        self.server.server_close()
        hook = smelt_hook.attach(model, self.url, "tiny", interval=60)
        model(self.ids)
        self.assertFalse(hook._post())
        model(self.ids)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.server.server_port), Agent)
        self.server.posts, self.server.status = [], 200
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        hook.close()
        metadata, tensors = self.posted()
        self.assertEqual("6", metadata["requests"])
        self.assertEqual([30], tensors["layers.0.block_sparse_moe.usage.tokens"].tolist())

    def test_should_drop_sums_when_the_agent_stays_away(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        self.server.shutdown()
        self.server.server_close()
        hook = smelt_hook.attach(model, self.url, "tiny", interval=60, keep=0)
        model(self.ids)
        self.assertFalse(hook._post())
        self.assertEqual(([], 0, None), hook._take())
        hook.close()

    def test_should_drop_what_the_agent_refuses(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        self.server.status = 400
        hook = self.attach(model)
        model(self.ids)
        self.assertFalse(hook._post())
        hook.close()
        self.assertEqual(1, len(self.server.posts))

    def test_should_let_the_model_go_on_and_come_off_when_the_hook_fails(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        hook = self.attach(model)
        plain = model(self.ids)
        for block in hook._blocks:
            block.decide = None
        for _ in range(2):
            torch.testing.assert_close(plain, model(self.ids))
        self.assertEqual([], hook._handles)
        self.assertEqual(0, len(model.layers[0].block_sparse_moe.gate._forward_hooks))
        hook.close()

    def test_should_post_every_interval_with_the_token(self):
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with smelt_hook.attach(model, self.url, "tiny", interval=0.01, token="secret"):
            for posts in (1, 2):
                model(self.ids)
                deadline = time.monotonic() + 30
                while len(self.server.posts) < posts and time.monotonic() < deadline:
                    threading.Event().wait(0.01)
        self.assertGreaterEqual(len(self.server.posts), 2)
        self.assertEqual("Bearer secret", self.server.posts[0][1]["Authorization"])

    def test_should_refuse_a_model_without_routers(self):
        with self.assertRaisesRegex(ValueError, "no router found"):
            self.attach(nn.Linear(2, 2))

    def test_should_refit_to_what_the_agent_would(self):
        folder = os.environ.get("SMELT_TEST_REFIT")
        if not folder:
            self.skipTest("SMELT_TEST_REFIT names no folder")
        tensors = smelt_hook._Tensors.of_folder(os.environ["SMELT_TEST_CHECKPOINT"])
        given = smelt_hook._Tensors([os.path.join(folder, "inputs.safetensors")])
        for name in given:
            model = self.with_weights(name, tensors)
            with smelt_hook.attach(
                    model, self.url, "fixture", interval=60, sample=1.0,
                    original=os.environ["SMELT_TEST_CHECKPOINT"],
                    merged=os.path.join(folder, "merged"), refit_folder=os.path.join(folder, "refit")):
                with torch.no_grad():
                    model.get_submodule(name)(given.read(name))

    @staticmethod
    def with_weights(block, tensors):
        """A model with one block of a checkpoint, under its name."""
        hidden, width = tensors.shape(block + ".experts.0.w2.weight")
        experts = tensors.shape(block + ".gate.weight")[0]
        model = nn.Module()
        model.config = types.SimpleNamespace(model_type="mixtral", num_experts_per_tok=K)
        inside, module = model, SparseBlock(hidden, width, experts)
        *above, last = block.split(".")
        for name in above:
            inside.add_module(name, nn.Module())
            inside = getattr(inside, name)
        inside.add_module(last, module)
        for name, parameter in module.named_parameters():
            parameter.data = tensors.read("%s.%s" % (block, name)).float()
        return model

    def test_should_reach_a_real_agent(self):
        url = os.environ.get("SMELT_TEST_AGENT")
        if not url:
            self.skipTest("SMELT_TEST_AGENT names no agent")
        model = Model("mixtral", "block_sparse_moe", SparseBlock)
        with tempfile.TemporaryDirectory() as folder:
            hook = smelt_hook.attach(
                model, url, "tiny", interval=60, sample=1.0, original=self.original(model, folder))
            model(self.ids)
            self.assertTrue(hook._post())
            hook.close()


if __name__ == "__main__":
    unittest.main()
