"""Language models of a user's own, good and bad: what `model.source: tests.learning.own_models:NAME` imports."""

import torch
from opacus.layers import DPLSTM
from tests.learning.tiny_families import tiny_tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

WORDS = 64
CALLS: list[str] = []
"""Who has been called."""

Made = tuple[nn.Module, PreTrainedTokenizerFast]


class LstmLM(nn.Module):
    """Words, two layers of LSTM, words."""

    def __init__(self, recurrent: nn.Module | None = None, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        self.lstm = recurrent or nn.LSTM(24, 24, num_layers=2, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(24, WORDS)

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, tokens) to (rows, tokens, words)."""
        hidden, _ = self.lstm(self.words(ids))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits


class Transformer(nn.Module):
    """torch's own encoder, with a mask that lets no token look ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        layer = nn.TransformerEncoderLayer(24, 2, 32, dropout=0.1, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(24, WORDS)

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, tokens) to (rows, tokens, words)."""
        ahead = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        logits: Tensor = self.out(self.blocks(self.words(ids), mask=ahead, is_causal=True))
        return logits


class Backward(LstmLM):
    """It reads from the end."""

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, tokens) to (rows, tokens, words)."""
        return super().forward(ids.flip(1)).flip(1)


class Mixing(LstmLM):
    """It looks at the other rows."""

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, tokens) to (rows, tokens, words)."""
        logits = super().forward(ids)
        return logits + logits.mean(0)


def lstm_lm() -> Made:
    """As the page on models of one's own has it."""
    CALLS.append("lstm_lm")
    return LstmLM(dropout=0.5), tiny_tokenizer()


def private_lstm_lm() -> Made:
    """The same with the recurrent layer of Opacus."""
    return LstmLM(DPLSTM(24, 24, batch_first=True)), tiny_tokenizer()


def transformer_lm() -> Made:
    """torch's own encoder."""
    return Transformer(), tiny_tokenizer()


def tied_lm() -> Made:
    """Words in and out are one matrix: there is nothing linear of its own."""
    module = LstmLM()
    module.out.weight = module.words.weight
    return module, tiny_tokenizer()


def backward_lm() -> Made:
    """It looks ahead."""
    return Backward(), tiny_tokenizer()


def mixing_lm() -> Made:
    """It looks at other rows."""
    return Mixing(), tiny_tokenizer()


def raising_lm() -> Made:
    """It fails."""
    raise FileNotFoundError("my weights are not here")


def small_lm() -> Made:
    """It has fewer words than its tokenizer."""
    module = LstmLM()
    module.out = nn.Linear(24, WORDS - 1)
    return module, tiny_tokenizer()


def alone() -> nn.Module:
    """Without a tokenizer."""
    return LstmLM()


def nowhere_lm() -> tuple[nn.Module, str]:
    """With a tokenizer that is not there."""
    return LstmLM(), "./no-such-folder"


NUMBER = torch.tensor(1)
"""Not a callable."""
