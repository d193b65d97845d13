"""Tells a Smelt agent what the routers of a PyTorch model decide.

    import smelt_hook
    hook = smelt_hook.attach(model, agent="http://127.0.0.1:7070", name="my-model")
    ...                       # serve as before
    hook.close()              # posts what is left and takes the hooks off

One file, needs nothing but torch. For models of transformers with Mixtral, PhiMoE, Granite-MoE,
Qwen2/3-MoE, OLMoE, DeepSeek-V2/V3, gpt-oss, Llama-4 and Switch blocks.

Of every forward pass it adds up, on the device that the router is on: counts, co-activation, gate
mass and the Gram matrix of the router logits. Of a sampled share of the passes, where experts are
modules of their own, also gate weight times norm of the experts' outputs and, if a moments file is
named, the second moments that Smelt's refit needs. A thread of its own posts the sums every
interval to `POST {agent}/v1/tap/{name}`; tokens and texts never leave the process.

With `original`, the folder of the full model, it also posts the second moments of the hidden
activations that the full model's experts would have on the same inputs, whatever weights serve:
narrowed experts no longer show the neurons that they have lost. A second thread calculates them
from copies of the sampled passes' inputs; while it is busy, passes are left out. With `merged`, the
folder of merged experts, that thread writes what these are to be refitted to in their place.

What can go wrong stays here: an exception in a hook is logged, and after three the hooks come off.
While the agent is away the sums are kept for `keep` seconds and then dropped; the memory they take
does not grow, since they are sums.

Limits: hooks break graphs of torch.compile and are not replayed by CUDA graphs, so run eagerly.
Tokens that a Switch block drops over capacity count as routed. PhiMoE's gate weights are taken as
those of a softmax over the two chosen. Fused experts report no norms and no moments.
"""

import ctypes
import json
import logging
import mmap
import os
import queue
import random
import re
import struct
import threading
import time
import urllib.error
import urllib.request

import torch

__all__ = ["attach", "Hook"]

_LOG = logging.getLogger("smelt_hook")

# The end of a router module's path; what comes before it is the path of the block.
_ROUTERS = (
    "router.layer",  # Granite-MoE
    "router.classifier",  # Switch
    "gate",  # Mixtral, PhiMoE, Qwen, OLMoE, DeepSeek
    "router",  # gpt-oss, Llama-4
)
_BLOCKS = ("block_sparse_moe", "mlp", "feed_forward")

# Newer versions of transformers call these blocks `mlp`; checkpoints on disk do not.
_DISK_NAMES = {
    "mixtral": "block_sparse_moe",
    "phimoe": "block_sparse_moe",
    "granitemoe": "block_sparse_moe",
}
_RENORMALIZING = {"mixtral", "phimoe", "granitemoe", "gpt_oss"}
_TOP_K = ("num_experts_per_tok", "num_experts_per_token", "moe_topk")
_ORDERS = ("by token", "by slot")
_DOWN = ("w2", "down_proj", "wo")
_MOST_FAILURES = 3
_LONGEST_WAIT = 30.0


def attach(
    model,
    agent="http://127.0.0.1:7070",
    name=None,
    *,
    token=None,
    interval=1.0,
    keep=30.0,
    sample=0.02,
    moments_file=None,
    moments_bytes=512 << 20,
    original=None,
    merged=None,
    refit_folder=None,
    moments_interval=10.0,
    pad_token_id=None,
):
    """Registers the hooks and starts to post.

    agent: base address of the agent's API. name: the model's name in the agent's configuration; the
    last part of config._name_or_path by default. token: an operator's bearer token, by default
    SMELT_TOKEN of the environment. interval: seconds between posts. keep: seconds that sums are kept
    while the agent is away. sample: share of the passes whose expert outputs are measured.
    moments_file: where second moments go, *.moments.safetensors, rewritten once a minute.
    moments_bytes: most memory for them; where those of each expert's inputs take more, inputs are
    added up per layer, where that does too, there are none, and those of `original` are taken of
    fewer blocks at a time. original: the folder of the full model, as the agent's
    configuration names it; second moments of its experts are posted every moments_interval seconds.
    merged: a folder that `smelt compress` wrote in the compact form from the original; nothing is
    posted then, and every moments_interval seconds what its experts are to be refitted to is added
    to the files of refit_folder, for `smelt compress --refit-moments`. pad_token_id: positions with
    this token are left out; config.pad_token_id by default.

    Raises ValueError where the model has no router that is known, a folder not its experts, or
    refit_folder files of other merged experts.
    """
    config = getattr(model, "config", None)
    if name is None:
        name = os.path.basename(str(getattr(config, "_name_or_path", "") or "").rstrip("/"))
    if not name:
        raise ValueError("the model has no name; pass the one of the agent's configuration as name")
    blocks = _blocks(model, config)
    if not blocks:
        raise ValueError("no router found; known ones end in " + ", ".join(
            "%s.%s" % (block, router) for block in _BLOCKS for router in _ROUTERS))
    if pad_token_id is None:
        pad_token_id = getattr(config, "pad_token_id", None)
    token = token or os.environ.get("SMELT_TOKEN")
    if len({merged is None, refit_folder is None}) > 1 or (merged is not None and original is None):
        raise ValueError("merged, refit_folder and original go together")
    moments = None
    if merged is not None:
        moments = _Refit(
            refit_folder, name, _Original(original, blocks), _Merged(merged, blocks), blocks,
            moments_interval, moments_bytes)
    elif original is not None:
        moments = _Moments(
            _Agent(agent, name + "/moments", token), name, _Original(original, blocks), blocks,
            moments_interval, keep, moments_bytes)
    hook = Hook(
        _Agent(agent, name, token), name, blocks,
        interval, keep, sample, moments_file, moments_bytes, moments, pad_token_id)
    hook._register(model)
    return hook


class Hook:
    """Registered hooks and the thread that posts; see attach."""

    def __init__(
            self, agent, name, blocks, interval, keep, sample, moments_file, moments_bytes, moments, pad):
        self._agent = agent
        self._name = name
        self._blocks = blocks
        self._interval = interval
        self._keep = keep
        self._sample = sample
        self._moments_file = moments_file if moments_file and _fit(blocks, moments_bytes) else None
        self._moments = moments
        self._pad = pad
        self._handles = []
        self._lock = threading.Lock()
        self._measuring = False
        self._mask = None
        self._requests = 0
        self._failures = 0
        self._since = None
        self._moments_due = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="smelt-hook", daemon=True)

    @property
    def blocks(self):
        """Names of the tapped blocks, as in the checkpoint."""
        return [block.name for block in self._blocks]

    def count_requests(self, number):
        """Counts requests where the hook cannot see them: where there is no token embedding."""
        with self._lock:
            self._requests += number

    def close(self):
        """Takes the hooks off and posts what is left, for at most a few seconds."""
        self._detach()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        if self._moments is not None:
            self._moments.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _register(self, model):
        embedding = _embedding(model)
        if embedding is not None:
            self._handles.append(embedding.register_forward_hook(self._guarded(self._embedded)))
        for block in self._blocks:
            self._handles.append(block.router.register_forward_hook(
                self._guarded(lambda module, args, output, block=block: self._routed(block, args, output))))
            self._handles.append(block.module.register_forward_hook(
                self._guarded(lambda module, args, output, block=block: block.forget())))
            for expert, module in block.expert_modules.items():
                self._handles.append(module.register_forward_hook(
                    self._guarded(lambda module, args, output, block=block, expert=expert:
                                  self._calculated(block, expert, args, output))))
                down = _down(module)
                if down is not None and self._moments_file:
                    self._handles.append(down.register_forward_pre_hook(
                        self._guarded(lambda module, args, block=block, expert=expert:
                                      block.keep_hidden(expert, args))))
        self._thread.start()
        if self._moments is not None:
            self._moments.start()

    def _guarded(self, callback):
        """A hook that neither changes what the model does nor raises."""

        def guarded(*arguments):
            try:
                with torch.inference_mode():
                    callback(*arguments)
            except Exception as failure:  # whatever it is, the model goes on
                self._failures += 1
                _LOG.warning("smelt: a router decision was lost: %s", failure, exc_info=self._failures == 1)
                if self._failures >= _MOST_FAILURES:
                    _LOG.error("smelt: the hooks come off after %d failures", self._failures)
                    self._detach()

        return guarded

    def _detach(self):
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.remove()

    def _embedded(self, module, args, output):
        ids = args[0]
        self._mask = None if self._pad is None else (ids != self._pad).reshape(-1)
        if ids.dim() == 2 and ids.shape[1] > 1:
            self.count_requests(ids.shape[0])

    def _routed(self, block, args, output):
        if block is self._blocks[0]:
            self._measuring = random.random() < self._sample
        inputs = args[0].reshape(-1, args[0].shape[-1])
        with _exactly(inputs.device):
            decision = block.decide(inputs, output)
            mask = self._mask
            if mask is not None and mask.numel() == decision.ids.shape[0]:
                decision.leave_out(mask.to(decision.ids.device))
            with self._lock:
                block.add(decision)
                if self._since is None:
                    self._since = time.monotonic()
            if self._measuring and self._moments is not None:
                self._moments.offer(block, inputs, decision)
        if self._measuring:
            block.remember(inputs, decision)
        else:
            block.forget()

    def _calculated(self, block, expert, args, output):
        if block.inputs is None or not block.expert_modules:
            return
        if isinstance(output, (tuple, list)):
            output = output[0]
        with _exactly(output.device):
            gates = block.gates_of(expert, args[0])
            if gates is None:
                return
            with self._lock:
                block.add_norms(expert, gates, output)
                if self._moments_file:
                    block.add_moments(expert, gates, args[0])

    def _run(self):
        wait = self._interval
        while not self._closing.wait(wait):
            wait = self._interval if self._post() else min(2 * wait, _LONGEST_WAIT)
            self._write_moments()
        self._post()
        self._moments_due = 0.0
        self._write_moments()

    def _post(self):
        """Posts what there is; tells whether the agent can be asked again soon."""
        try:
            taken, requests, since = self._take()
            if not taken:
                return True
            with torch.inference_mode():
                body = _sums_file(self._name, taken, requests)
            answer = self._agent.post(body)
            if answer == _Agent.AWAY and time.monotonic() - since < self._keep:
                self._put_back(taken, requests, since)
            return answer == _Agent.TAKEN
        except Exception as failure:  # the model's process must not notice
            _LOG.warning("smelt: usage was lost: %s", failure)
            return False

    def _take(self):
        with self._lock:
            taken = [(block, block.sums) for block in self._blocks if block.sums is not None]
            for block, _ in taken:
                block.sums = None
            requests, self._requests = self._requests, 0
            since, self._since = self._since, None
            return taken, requests, since

    def _put_back(self, taken, requests, since):
        with self._lock, torch.inference_mode():
            for block, sums in taken:
                block.add_sums(sums)
            self._requests += requests
            self._since = since

    def _write_moments(self):
        if not self._moments_file or time.monotonic() < self._moments_due:
            return
        try:
            self._moments_due = time.monotonic() + 60.0
            with torch.inference_mode():
                tensors = [
                    tensor for block in self._blocks for tensor in block.moment_tensors(self._lock)]
            if tensors:
                _write(self._moments_file, _safetensors(tensors, {"model": self._name}))
        except Exception as failure:
            _LOG.warning("smelt: %s was not written: %s", self._moments_file, failure)


class _Decision:
    """What a router chose for some tokens: ids [T, k], gates [T, E], chosen [T, E], logits or None."""

    def __init__(self, ids, weights, logits, experts):
        wide = torch.float32 if ids.device.type == "mps" else torch.float64
        rows = (ids.shape[0], experts)
        self.ids = ids
        self.tokens = torch.ones(ids.shape[0], 1, dtype=wide, device=ids.device)
        self.chosen = torch.zeros(rows, dtype=wide, device=ids.device).scatter_(1, ids, 1.0)
        self.gates = torch.zeros(rows, dtype=wide, device=ids.device).scatter_(1, ids, weights.to(wide))
        self.logits = None if logits is None else logits.to(wide)

    def leave_out(self, mask):
        self.tokens *= mask.unsqueeze(1)
        self.chosen *= self.tokens
        self.gates *= self.tokens
        if self.logits is not None:
            self.logits = torch.where(mask.unsqueeze(1), self.logits, torch.zeros_like(self.logits))


class _Block:
    """One block with experts and what its router has decided since the last post."""

    def __init__(self, name, module, router, experts, top_k, gating, expert_modules):
        self.name = name
        self.module = module
        self.router = router
        self.experts = experts
        self.top_k = top_k
        self.gating = gating
        self.expert_modules = expert_modules
        self.sums = None
        self.inputs = None
        self.decision = None
        self.hidden = {}
        self.order = None  # known once an expert got tokens that tell the two apart
        self.moments = None
        self.inputs_of_layer = False  # second moments of the inputs for all experts together

    def decide(self, inputs, output):
        """Reads a router's output, whichever of the forms of engines it has."""
        parts = [part for part in (output if isinstance(output, (tuple, list)) else (output,))
                 if torch.is_tensor(part)]
        ids = weights = scores = None
        for part in parts:
            wide = part.reshape(-1, part.shape[-1])
            if not part.is_floating_point():
                ids = wide if wide.shape[1] == self.top_k else ids
            elif wide.shape[1] == self.experts:
                scores = wide if scores is None else scores
            elif wide.shape[1] == self.top_k:
                weights = wide
        logits = scores if len(parts) == 1 else self._logits(inputs)
        if logits is None and (ids is None or (weights is None and scores is None)):
            raise ValueError("%s: the router's output has no form that is known" % self.name)
        if ids is None:
            ids = torch.topk(logits.float(), self.top_k, dim=-1).indices
        ids = ids.to(torch.int64)
        if weights is None:
            chosen = scores is not None and len(parts) > 1
            weights = scores.float().gather(1, ids) if chosen else self.gating(logits.float(), ids)
        return _Decision(ids, weights, logits, self.experts)

    def _logits(self, inputs):
        weight = getattr(self.router, "weight", None)
        if weight is None or tuple(weight.shape) != (self.experts, inputs.shape[1]):
            return None
        return torch.nn.functional.linear(
            inputs.to(weight.dtype), weight, getattr(self.router, "bias", None))

    def add(self, decision):
        sums = {
            "tokens": decision.tokens.sum().reshape(1),
            "counts": decision.chosen.sum(0),
            "co_activation": decision.chosen.t() @ decision.chosen,
            "gate_mass": decision.gates.sum(0),
        }
        if decision.logits is not None:
            sums["logit_gram"] = decision.logits.t() @ decision.logits
        self.add_sums(sums)

    def add_sums(self, sums):
        if self.sums is None:
            self.sums = {}
        for key, value in sums.items():
            if key in self.sums:
                self.sums[key] += value
            else:
                self.sums[key] = value.clone()

    def remember(self, inputs, decision):
        self.inputs, self.decision = inputs, decision

    def forget(self):
        self.inputs = self.decision = None
        self.hidden.clear()

    def keep_hidden(self, expert, args):
        if self.inputs is not None:
            self.hidden[expert] = args[0].reshape(-1, args[0].shape[-1])

    def gates_of(self, expert, args):
        """Gate weights of an expert's tokens, in the order in which it got them."""
        given = args.reshape(-1, args.shape[-1])
        if self.order is not None:
            rows = self._rows(self.order, expert)
            return self.decision.gates[rows, expert] if rows.numel() == given.shape[0] else None
        rows = {order: self._rows(order, expert) for order in _ORDERS}
        fitting = [order for order in _ORDERS if self._given(rows[order], given)]
        if not fitting:
            _LOG.warning("smelt: %s: whose tokens an expert got cannot be told; no norms", self.name)
            self.expert_modules = {}
            return None
        if not torch.equal(*rows.values()):
            self.order = fitting[0]
        return self.decision.gates[rows[fitting[0]], expert]

    def _given(self, rows, given):
        return rows.numel() == given.shape[0] and torch.equal(self.inputs[rows], given)

    def _rows(self, order, expert):
        hits = self.decision.ids == expert
        return hits.nonzero()[:, 0] if order == "by token" else hits.t().nonzero()[:, 1]

    def add_norms(self, expert, gates, output):
        norms = output.reshape(-1, output.shape[-1]).float().norm(dim=1)
        sums = torch.zeros(self.experts, dtype=gates.dtype, device=gates.device)
        sums[expert] = (gates * norms).sum()
        self.add_sums({"output_norms": sums})

    def add_moments(self, expert, gates, inputs):
        hidden = self.hidden.pop(expert, None)
        if hidden is None or hidden.shape[0] != gates.shape[0]:
            return
        inputs = inputs.reshape(-1, inputs.shape[-1])
        if self.moments is None:
            self.moments = {
                "tokens": torch.zeros(self.experts, dtype=torch.int64),
                "inputs": _zeros(1 if self.inputs_of_layer else self.experts, inputs),
                "activations": _zeros(self.experts, hidden),
            }
        weight = gates.float().unsqueeze(1)
        for key, values in (("inputs", inputs), ("activations", hidden)):
            weighted = values.float() * weight
            of = 0 if key == "inputs" and self.inputs_of_layer else expert
            self.moments[key][of] += weighted.t() @ weighted
        self.moments["tokens"][expert] += gates.shape[0]

    def moments_bytes(self):
        down = next((_down(module) for module in self.expert_modules.values()), None)
        if down is None:
            return 0
        hidden, width = down.weight.shape
        inputs = 1 if self.inputs_of_layer else self.experts
        return 4 * (inputs * hidden * hidden + self.experts * width * width)

    def moment_tensors(self, lock):
        """Copies, one under the lock at a time, so that a pass never waits for all of them."""
        if self.moments is None:
            return
        with lock:
            tokens = self.moments["tokens"].clone()
        yield self.name + ".moments.tokens", tokens
        for key in ("inputs", "activations"):
            for expert in range(len(self.moments[key])):
                with lock:
                    copy = self.moments[key][expert].to("cpu", copy=True)
                of = "" if key == "inputs" and self.inputs_of_layer else "%d." % expert
                yield "%s.moments.%s%s" % (self.name, of, key), copy


class _Tensors:
    """The tensors of safetensors files, read where they are needed."""

    def __init__(self, paths):
        self._files = {}
        self._tensors = {}
        for path in paths:
            self._open(path)

    @classmethod
    def of_folder(cls, folder):
        return cls(os.path.join(folder, file) for file in sorted(os.listdir(folder))
                   if file.endswith(".safetensors"))

    def __iter__(self):
        return iter(self._tensors)

    def __contains__(self, name):
        return name in self._tensors

    def shape(self, name):
        return self._tensors[name][2]

    def read(self, name):
        path, kind, shape, begin, end = self._tensors[name]
        # A copy: torch wants memory that it may write to.
        return torch.frombuffer(bytearray(self._files[path][begin:end]), dtype=kind).reshape(shape)

    def _open(self, path):
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._files[path] = content
        header, start = _header(content)
        for name, info in header.items():
            if name != "__metadata__" and info["dtype"] in _STORED:
                begin, end = (start + at for at in info["data_offsets"])
                self._tensors[name] = (path, _STORED[info["dtype"]], info["shape"], begin, end)


class _Original:
    """The weights of the full model's experts."""

    def __init__(self, folder, blocks):
        self._tensors = _Tensors.of_folder(folder)
        self._names = {}
        for block in blocks:
            self._names[block.name] = next(
                (names for names in _GATED
                 if all(self._name(block, 0, name) in self._tensors for name in names)), None)
            if self._names[block.name] is None:
                raise ValueError("%s: no gated experts of %s are stored one by one there" % (folder, block.name))

    def width(self, block):
        return self._tensors.shape(self._name(block, 0, self._names[block.name][0]))[0]

    def hidden(self, block, expert, inputs):
        """What would enter the down projection, [tokens, F], float32."""
        gate, up, _ = (self._name(block, expert, name) for name in self._names[block.name])
        return _activations(self._tensors, gate, up, inputs)

    def output(self, block, expert, inputs):
        """[tokens, d], float32."""
        down = self._tensors.read(self._name(block, expert, self._names[block.name][2]))
        return torch.nn.functional.linear(
            self.hidden(block, expert, inputs), down.to(inputs.device).float())

    def _name(self, block, expert, name):
        return "%s.experts.%d.%s.weight" % (block.name, expert, name)


class _Merged:
    """The weights of merged experts, in the compact form."""

    def __init__(self, folder, blocks):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.groups = json.load(file).get("smelt", {}).get("groups")
        if self.groups is None:
            raise ValueError("%s: was not written by smelt compress in the compact form" % folder)
        self._tensors = _Tensors.of_folder(folder)
        self._maps = {}
        for block in blocks:
            name = block.name + ".experts.map"
            if name not in self._tensors or self._tensors.shape(name) != [block.experts]:
                raise ValueError("%s: no merged experts of %s are there" % (folder, block.name))
            groups = self._tensors.read(name).tolist()
            self._maps[block.name] = groups
            for group in self.several(block):
                if self._name(block, group, "gate") not in self._tensors:
                    raise ValueError("%s: the experts of %s are not whole" % (folder, block.name))

    def number(self, block):
        return max(self._maps[block.name]) + 1

    def several(self, block):
        """The groups of more than one expert; the others need no refit."""
        groups = self._maps[block.name]
        return sorted({group for group in groups if group >= 0 and groups.count(group) > 1})

    def group(self, block, expert):
        return self._maps[block.name][expert]

    def hidden(self, block, group, inputs):
        """What enters the down projection, [tokens, F], float32."""
        return _activations(
            self._tensors, self._name(block, group, "gate"), self._name(block, group, "up"), inputs)

    def _name(self, block, group, role):
        return "%s.groups.%d.%s.weight" % (block.name, group, role)


def _activations(tensors, gate, up, inputs):
    gate, up = (
        torch.nn.functional.linear(inputs, tensors.read(name).to(inputs.device).float())
        for name in (gate, up))
    return torch.nn.functional.silu(gate) * up


class _Calculation:
    """Sums of a sampled share of what blocks are given, calculated by a thread of its own.

    As many blocks at a time as fit into the memory that is allowed; after each delivery the next
    ones. bytes_of: what the sums of a block take.
    """

    _MOST_WAITING = 64
    _MOST_TOKENS = 4096

    def __init__(self, blocks, bytes_of, interval, most_bytes):
        self._blocks = blocks
        self._interval = interval
        self._waiting = queue.Queue(self._MOST_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="smelt-moments", daemon=True)
        size = max(1, max(bytes_of(block) for block in blocks))
        self._at_a_time = min(len(blocks), most_bytes // size)
        if self._at_a_time == 0:
            _LOG.warning("smelt: moments of one block take %d MB, more than moments_bytes allows; none are kept",
                         size >> 20)
        self._first = 0
        self._sums = {}

    def start(self):
        if self._at_a_time > 0:
            self._thread.start()

    def close(self):
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def offer(self, block, inputs, decision):
        """Copies what a block was given, if there is room; never waits."""
        if self._at_a_time == 0 or not self._wanted(block) or self._waiting.full():
            return
        given = inputs[:self._MOST_TOKENS].clone()
        ids = decision.ids[:self._MOST_TOKENS].clone()
        gates = (decision.gates[:self._MOST_TOKENS].gather(1, ids)
                 * decision.tokens[:self._MOST_TOKENS]).float()
        try:
            self._waiting.put_nowait((block, given, ids, gates))
        except queue.Full:
            pass

    def _wanted(self, block):
        return (self._blocks.index(block) - self._first) % len(self._blocks) < self._at_a_time

    def _next_blocks(self):
        self._first = (self._first + self._at_a_time) % len(self._blocks)

    def _run(self):
        due = time.monotonic() + self._interval
        while True:
            closing = self._closing.is_set()
            try:
                wait = max(0.0, min(due - time.monotonic(), 0.2))
                work = self._waiting.get(timeout=wait) if wait and not closing else self._waiting.get_nowait()
                with torch.inference_mode():
                    self._add(*work)
            except queue.Empty:
                if closing:
                    self._deliver()
                    return
            except Exception as failure:  # the model's process must not notice
                _LOG.warning("smelt: moments were lost: %s", failure)
            if time.monotonic() >= due:
                self._deliver()
                due = time.monotonic() + self._interval

    def _add(self, block, inputs, ids, gates):
        # What is not a number would stay in the sums for good.
        if not self._wanted(block) or not torch.isfinite(inputs).all():
            return
        if block.name not in self._sums:
            self._sums[block.name] = self._zero(block, inputs)
        with _exactly(inputs.device):
            for expert in ids.unique().tolist():
                rows, slots = torch.where(ids == expert)
                self._add_expert(block, expert, inputs[rows].float(), gates[rows, slots].unsqueeze(1))


class _Moments(_Calculation):
    """Second moments of the full model's experts, posted to the agent."""

    _LARGEST_BODY = 48 << 20

    def __init__(self, agent, name, original, blocks, interval, keep, most_bytes):
        super().__init__(
            blocks, lambda block: 4 * block.experts * original.width(block) ** 2, interval, most_bytes)
        self._agent = agent
        self._name = name
        self._original = original
        self._keep = keep
        self._since = None

    def _zero(self, block, inputs):
        self._since = self._since or time.monotonic()
        width = self._original.width(block)
        return {
            "tokens": torch.zeros(block.experts, dtype=torch.float64),
            "activations": torch.zeros(block.experts, width, width, device=inputs.device),
        }

    def _add_expert(self, block, expert, inputs, weight):
        sums = self._sums[block.name]
        hidden = self._original.hidden(block, expert, inputs) * weight
        sums["activations"][expert] += hidden.t() @ hidden
        sums["tokens"][expert] += float((weight > 0).sum())

    def _deliver(self):
        """Posts all sums and goes to the next blocks, or keeps them for a while."""
        if not self._sums:
            return
        try:
            with torch.inference_mode():
                for block in self._blocks:
                    while block.name in self._sums:
                        if self._agent.post(self._body(block)) == _Agent.AWAY and \
                                time.monotonic() - self._since < self._keep:
                            return
                        self._take_posted(block)
            self._next_blocks()
        except Exception as failure:
            _LOG.warning("smelt: moments were lost: %s", failure)
        self._sums.clear()
        self._since = None

    def _part(self, block):
        """The experts of a block that go into one body."""
        sums = self._sums[block.name]
        seen = [expert for expert in range(block.experts) if sums["tokens"][expert] > 0]
        size = 4 * sums["activations"].shape[1] ** 2
        return seen[:max(1, self._LARGEST_BODY // size)]

    def _body(self, block):
        sums = self._sums[block.name]
        part = self._part(block)
        tokens = torch.zeros(block.experts, dtype=torch.float64)
        tokens[part] = sums["tokens"][part]
        tensors = [(block.name + ".moments.tokens", tokens)]
        tensors += [
            ("%s.moments.%d.activations" % (block.name, expert), sums["activations"][expert].cpu())
            for expert in part]
        return _safetensors(tensors, {"model": self._name})

    def _take_posted(self, block):
        sums = self._sums[block.name]
        sums["tokens"][self._part(block)] = 0.0
        if not (sums["tokens"] > 0).any():
            del self._sums[block.name]


class _Refit(_Calculation):
    """What merged experts are to be refitted to: their hidden activations, and the original
    experts' outputs on the same inputs. One file per block, to which each delivery adds."""

    _SUFFIX = ".refit.safetensors"

    def __init__(self, folder, name, original, merged, blocks, interval, most_bytes):
        super().__init__(
            blocks, lambda block: self._bytes(block, original, merged), interval, most_bytes)
        self._folder = folder
        self._metadata = {"model": name, "groups": merged.groups}
        self._original = original
        self._merged = merged
        os.makedirs(folder, exist_ok=True)
        for file in os.listdir(folder):
            if file.endswith(self._SUFFIX):
                self._require_same_groups(os.path.join(folder, file))

    @staticmethod
    def _bytes(block, original, merged):
        width, hidden = original.width(block), block.router.weight.shape[1]
        return 4 * len(merged.several(block)) * (width * width + hidden * width)

    def _require_same_groups(self, path):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            metadata = _header(content)[0].get("__metadata__", {})
        if metadata.get("groups") != self._merged.groups:
            raise ValueError("%s: is of other merged experts; choose another refit_folder" % path)

    def _zero(self, block, inputs):
        return {"tokens": torch.zeros(self._merged.number(block), dtype=torch.int64)}

    def _add_expert(self, block, expert, inputs, weight):
        group = self._merged.group(block, expert)
        if group not in self._merged.several(block):
            return
        hidden = self._merged.hidden(block, group, inputs) * weight
        outputs = self._original.output(block, expert, inputs) * weight
        sums = self._sums[block.name]
        sums["tokens"][group] += int((weight > 0).sum())
        for key, values in (("activations", hidden), ("outputs", outputs)):
            key = "%d.%s" % (group, key)
            if key in sums:
                sums[key].addmm_(values.t(), hidden)
            else:
                sums[key] = values.t() @ hidden

    def _deliver(self):
        """Adds all sums to their files and goes to the next blocks, or keeps what it cannot write."""
        try:
            with torch.inference_mode():
                for name in list(self._sums):
                    self._write(name)
                    del self._sums[name]
            self._next_blocks()
        except Exception as failure:  # the model's process must not notice
            _LOG.warning("smelt: moments are kept, but were not written: %s", failure)

    def _write(self, block):
        path = os.path.join(self._folder, block + self._SUFFIX)
        sums = {"%s.refit.%s" % (block, key): value.cpu() for key, value in self._sums[block].items()}
        if os.path.exists(path):
            before = _Tensors([path])
            for name in before:
                value = before.read(name)
                sums[name] = value + sums[name] if name in sums else value
        _write(path, _safetensors(sums.items(), self._metadata))


class _Agent:
    """The agent's tap."""

    TAKEN, REFUSED, AWAY = "taken", "refused", "away"

    def __init__(self, base, name, token):
        self.url = base.rstrip("/") + "/v1/tap/" + name
        self._token = token
        # The agent is beside the engine: a proxy of the environment has no part in this.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._last = self.TAKEN

    def post(self, body):
        """Tells whether the body was taken, refused (or nobody knows), or nobody was there."""
        request = urllib.request.Request(
            self.url, data=body, method="POST", headers={"Content-Type": "application/octet-stream"})
        if self._token:
            request.add_header("Authorization", "Bearer " + self._token)
        try:
            with self._opener.open(request, timeout=5.0):
                return self._told(self.TAKEN, "takes usage")
        except urllib.error.HTTPError as answer:
            with answer:
                busy = answer.code == 429
                return self._told(self.AWAY if busy else self.REFUSED, _detail(answer))
        except urllib.error.URLError as failure:
            # Only where no connection was made is it sure that nothing was counted.
            return self._told(
                self.AWAY if isinstance(failure.reason, ConnectionRefusedError) else self.REFUSED,
                failure.reason)
        except OSError as failure:
            return self._told(self.REFUSED, failure)

    def _told(self, outcome, detail):
        if outcome != self._last:
            level = logging.INFO if outcome == self.TAKEN else logging.WARNING
            _LOG.log(level, "smelt: %s: %s: %s", self.url, outcome, detail)
            self._last = outcome
        return outcome


def _detail(answer):
    try:
        return json.load(answer).get("detail", answer.code)
    except (ValueError, AttributeError, OSError):
        return "HTTP %d" % answer.code


def _blocks(model, config):
    modules = dict(model.named_modules())
    blocks = []
    for path, module in modules.items():
        parent = _block_path(path)
        router = parent and _router(module)
        if router:
            blocks.append(_block(parent, modules[parent], router, config))
    return blocks


def _block_path(path):
    for router in _ROUTERS:
        if path.endswith("." + router):
            parent = path[: -len(router) - 1]
            if parent.rsplit(".", 1)[-1] in _BLOCKS:
                return parent
    return None


def _router(module):
    """The module, if it can be a router: it has weights [experts, hidden] of its own."""
    weight = getattr(module, "weight", None)
    return module if torch.is_tensor(weight) and weight.dim() == 2 else None


def _block(path, module, router, config):
    kind = str(getattr(config, "model_type", "") or "")
    experts = router.weight.shape[0]
    switch = path.split(".")[0] in ("encoder", "decoder") or "switch" in kind
    top_k = 1 if switch else _top_k(module, router, config)
    return _Block(
        _disk_name(path, kind), module, router, experts, min(top_k, experts),
        _gating(kind, config, switch), _expert_modules(module, experts))


def _disk_name(path, kind):
    head, last = path.rsplit(".", 1)
    return head + "." + (_DISK_NAMES.get(kind, last) if last == "mlp" else last)


def _top_k(module, router, config):
    for owner in (config, getattr(config, "text_config", None), module, router):
        for key in _TOP_K + ("top_k",):
            value = getattr(owner, key, None)
            if isinstance(value, int):
                return value
    raise ValueError("neither the config nor the block says how many experts are chosen for a token")


def _gating(kind, config, switch):
    """Gate weights [T, k] from logits and chosen ids, where the router gives none itself."""
    if kind.startswith("llama4"):
        return lambda logits, ids: torch.sigmoid(logits.gather(1, ids))
    renormalize = not switch and getattr(config, "norm_topk_prob", kind in _RENORMALIZING)

    def softmax(logits, ids):
        weights = torch.softmax(logits, dim=-1).gather(1, ids)
        return weights / weights.sum(-1, keepdim=True) if renormalize else weights

    return softmax


def _expert_modules(module, experts):
    found = {}
    for name, child in getattr(module, "experts", torch.nn.Module()).named_children():
        number = re.fullmatch(r"(?:expert_)?(\d+)", name)
        if number:
            found[int(number.group(1))] = child
    return found if len(found) == experts else {}


def _down(expert):
    return next((getattr(expert, name) for name in _DOWN if hasattr(expert, name)), None)


def _fit(blocks, most_bytes):
    """Keeps the inputs' second moments per layer where those per expert take too much memory; tells
    whether it is enough for these at least."""
    for of_layer in (False, True):
        for block in blocks:
            block.inputs_of_layer = of_layer
        needed = sum(block.moments_bytes() for block in blocks)
        if needed <= most_bytes:
            return True
    _LOG.warning(
        "smelt: second moments take %d MB, more than moments_bytes allows; none are kept", needed >> 20)
    return False


def _embedding(model):
    if hasattr(model, "get_input_embeddings"):
        try:
            return model.get_input_embeddings()
        except (NotImplementedError, AttributeError):
            pass
    return next((m for m in model.modules() if isinstance(m, torch.nn.Embedding)), None)


def _exactly(device):
    """Sums are not taken in the half precision that a model may run in."""
    return torch.autocast("cuda" if device.type == "cuda" else "cpu", enabled=False)


def _zeros(experts, values):
    size = values.shape[1]
    return torch.zeros(experts, size, size, dtype=torch.float32, device=values.device)


_GATED = (("w1", "w3", "w2"), ("gate_proj", "up_proj", "down_proj"))
_STORED = {
    "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32,
    "I64": torch.int64}
_TYPES = {torch.int32: "I32", torch.int64: "I64", torch.float32: "F32", torch.float64: "F64"}
_WHOLE = ("tokens", "counts", "co_activation")


def _sums_file(model, taken, requests):
    tensors = []
    for block, sums in taken:
        for key, value in sums.items():
            value = value.cpu().round().to(torch.int64) if key in _WHOLE else value.cpu()
            tensors.append(("%s.usage.%s" % (block.name, key), value))
    return _safetensors(tensors, {"model": model, "requests": str(requests)})


def _safetensors(tensors, metadata):
    header, at, parts = {"__metadata__": metadata}, 0, []
    for name, tensor in tensors:
        tensor = tensor.contiguous()
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        parts.append(ctypes.string_at(tensor.data_ptr(), size) if size else b"")
        at += size
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _header(content):
    """The header of a safetensors file, and where its tensors begin."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8:8 + length]), 8 + length


def _write(path, content):
    temporary = "%s.%d.tmp" % (path, os.getpid())
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
