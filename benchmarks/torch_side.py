"""A side of `unroll.py` in PyTorch: ``python torch_side.py torch CELL H LAYERS B T``."""

import os
import sys

import torch  # pyright: ignore[reportMissingImports]  # only this benchmark needs it
from task import LEARNING_RATE, SYMBOLS, Task
from turns import serve

KINDS = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    task = Task.read(sys.argv[2:])
    rnn = KINDS[task.cell](SYMBOLS, task.hidden, task.layers).to(device)
    readout = torch.nn.Linear(task.hidden, SYMBOLS).to(device)
    optimizer = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=LEARNING_RATE)
    ids = torch.from_numpy(task.ids()).long().to(device)
    shape = (task.streams, task.updates * task.window)
    inputs = ids[:-1].reshape(shape).T.contiguous()
    targets = ids[1:].reshape(shape).T.contiguous()
    one_hot = torch.nn.functional.one_hot(inputs, SYMBOLS).float()

    def run() -> None:
        carry = None
        for i in range(task.updates):
            window = slice(i * task.window, (i + 1) * task.window)
            optimizer.zero_grad(set_to_none=True)
            ys, carry = rnn(one_hot[window], carry)
            logits = readout(ys).reshape(-1, SYMBOLS)
            loss = torch.nn.functional.cross_entropy(logits, targets[window].reshape(-1))
            loss.backward()
            optimizer.step()
            carry = tuple(c.detach() for c in carry) if type(carry) is tuple else carry.detach()
        if device == "cuda":
            torch.cuda.synchronize()

    serve(task.timed(run))


if __name__ == "__main__":
    main()
