from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from accounts.models import Membership, Person, User

# Rows. Browsers offer them while one types; whoever is not among them can be typed in full.
SUGGESTIONS = 200


class ColleagueField(forms.CharField):
    """A person of the same organization, named by email address or by name: a list of 10,000 is no choice."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.colleagues: QuerySet[Person] = Person.objects.none()

    def clean(self, value: Any) -> Person | None:
        text = super().clean(value)
        if not text:
            return None
        found = list(self.colleagues.filter(named(text))[:2])
        if not found:
            raise ValidationError("Nobody of this organization has that name or email address.")
        if len(found) > 1:
            raise ValidationError("Several people are called that. Give the email address.")
        return found[0]

    def prepare_value(self, value: Any) -> Any:
        """What names the person best: of an instance's own value only the key is known here."""
        if isinstance(value, UUID):
            person = self.colleagues.filter(pk=value).first()
            return (person.email or person.name) if person else ""
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


def named(text: str) -> Q:
    return Q(email__iexact=text) if "@" in text else Q(name__iexact=text)


class PersonForm(forms.ModelForm[Person]):
    manager = ColleagueField(
        required=False,
        help_text="Their email address, or their name. Empty for the head of the organization.",
        widget=forms.TextInput(attrs={"list": "colleagues", "autocomplete": "off"}),
    )

    class Meta:
        model = Person
        fields = ["name", "title", "email", "manager"]

    def __init__(self, *args: Any, colleagues: QuerySet[Person], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["manager"].colleagues = colleagues  # type: ignore[attr-defined]
        self.suggestions = colleagues.filter(status=Person.Status.ACTIVE).order_by("name")[:SUGGESTIONS]


class LinkForm(forms.Form):
    """Takes the email address of a member, and gives their user."""

    email = forms.EmailField(label="Email address the member signs in with")

    def __init__(self, *args: Any, memberships: QuerySet[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.memberships = memberships

    def clean_email(self) -> User:
        email = self.cleaned_data["email"].lower()
        membership = self.memberships.filter(user__email=email).select_related("user").first()
        if membership is None:
            raise ValidationError("No member of this organization signs in with that address. Invite them first.")
        return membership.user
