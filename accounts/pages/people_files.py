"""The directory as a whole: its chart, and CSV files in and out."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import people_csv, scope
from accounts.access import member, role_at_least
from accounts.chart import BOX_HEIGHT, BOX_WIDTH, draw
from accounts.identity import IdentifiedRequest
from accounts.models import Role
from accounts.pages.people import chosen_people
from accounts.pages.refusals import tell_refusals

ZOOMS = (50, 75, 100, 150, 200)
# People. Beyond it the chart is no longer something to look at, and its page no longer light.
CHART_LIMIT = 2000
PREVIEWED_LINES = 200


class UploadForm(forms.Form):
    """Takes a file, or its text as the preview sends it back for good."""

    file = forms.FileField(required=False, label="CSV file")
    text = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    def clean_file(self) -> str:
        upload = self.cleaned_data["file"]
        if upload is None:
            return ""
        if (upload.size or 0) > people_csv.MAX_SIZE:
            raise ValidationError(f"The file is larger than {people_csv.MAX_SIZE // 1_000_000} MB.")
        try:
            text: str = upload.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValidationError("The file is not encoded in UTF-8.") from error
        return text

    def clean(self) -> dict[str, str]:
        data = super().clean() or {}
        if not self.errors and not (data.get("file") or data.get("text")):
            raise ValidationError("Choose a file that is not empty.")
        return data


@require_http_methods(["GET", "HEAD", "POST"])
@role_at_least(Role.ADMIN)
@tell_refusals
def import_people(request: IdentifiedRequest) -> HttpResponse:
    """Upload, look at what would happen, confirm. Nothing is kept between the steps."""
    organization = get_object_or_404(scope.organizations(request.manageros_user))
    if request.method != "POST":
        return render(request, "accounts/people_import.html", {"form": UploadForm(), "columns": people_csv.COLUMNS})
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return render(request, "accounts/people_import.html", {"form": form, "columns": people_csv.COLUMNS})
    text = form.cleaned_data["file"] or form.cleaned_data["text"]
    found = people_csv.read(text, organization)
    if found.is_valid and "confirm" in request.POST:
        summary = found.summary
        found.apply()
        messages.success(request, f"{summary}.")
        return redirect("people")
    wrong = [line for line in found.lines if line.errors]
    context = {"found": found, "text": text, "wrong": wrong, "shown": (wrong or found.lines)[:PREVIEWED_LINES]}
    return render(request, "accounts/people_preview.html", context, status=200 if found.is_valid else 422)


@require_safe
@member
def export_people(request: IdentifiedRequest) -> StreamingHttpResponse:
    lines = people_csv.write(chosen_people(request).order_by("name", "id"))
    headers = {"Content-Disposition": 'attachment; filename="people.csv"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


@require_safe
@member
def chart(request: IdentifiedRequest) -> HttpResponse:
    """Everybody who is active, or one person and everybody below."""
    people = scope.people(request.manageros_user).filter(status="active").defer("search_text")
    head = request.GET.get("head", "")
    if head:
        field = forms.UUIDField()
        try:
            people = people.at_or_below([get_object_or_404(people, pk=field.clean(head)).pk])
        except ValidationError:
            head = ""
    found = list(people.order_by("name", "id")[: CHART_LIMIT + 1])
    zoom = request.GET.get("zoom", "100")
    scale = int(zoom) if zoom in map(str, ZOOMS) else 100
    drawn = draw(found[:CHART_LIMIT])
    context = {
        "chart": drawn,
        "head": head,
        "too_many": len(found) > CHART_LIMIT,
        "limit": CHART_LIMIT,
        "zoom": scale,
        "zooms": ZOOMS,
        "width": drawn.width * scale // 100,
        "height": drawn.height * scale // 100,
        "box_width": BOX_WIDTH,
        "box_height": BOX_HEIGHT,
    }
    return render(request, "accounts/chart.html", context)
