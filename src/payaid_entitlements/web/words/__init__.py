"""What refusals say to people, by language: a title and a detail for each reason, and the labels of pages."""

from payaid_entitlements.web.words.choosing import Said, Words, shipped_words

__all__ = ["Said", "Words", "shipped_words"]
