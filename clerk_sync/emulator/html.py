from markupsafe import Markup
from werkzeug.wrappers import Response

STYLE = Markup("""
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --own: #4338ca }
:root { font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
body { margin: 0 auto; padding: 2rem 1rem; max-width: 26rem; background: light-dark(#f6f7f9, #16181d) }
body.wide { max-width: 72rem }
main { background: light-dark(#fff, #1f2229); border: 1px solid var(--line); border-radius: .8rem; padding: 1.5rem }
h1 { font-size: 1.4rem; margin: 0 0 1rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
a { color: light-dark(var(--own), #a5b4fc) }
ul.people { list-style: none; padding: 0; display: grid; gap: .5rem }
button { font: inherit; cursor: pointer; border: 1px solid var(--line); border-radius: .5rem; padding: .3rem .7rem }
button { background: transparent; color: inherit }
button:hover, button:focus-visible { border-color: light-dark(var(--own), #a5b4fc) }
ul.people button { width: 100%; text-align: left; display: grid; padding: .6rem .9rem }
button.primary { background: var(--own); color: #fff; padding: .6rem 1rem }
label { display: grid; margin-bottom: .8rem }
input { font: inherit; padding: .5rem; border: 1px solid var(--line); border-radius: .5rem; background: transparent }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .5rem .8rem .5rem 0; border-top: 1px solid var(--line) }
pre { margin: 0; font-size: .8rem; white-space: pre-wrap } .actions form { display: inline }
footer { margin-top: 1.5rem; opacity: .7; font-size: .85rem }
@media (max-width: 48rem) {
  tr { display: block; border-top: 1px solid var(--line); padding: .5rem 0 }
  td { display: block; border: 0; padding: .15rem 0 } th { display: none }
}
""")

PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body class="{width}"><main><h1>{title}</h1>{body}</main>
<footer>This is the local Clerk of ManagerOS, for development alone: no mail is sent, and nothing leaves this machine.
</footer>
</body></html>
""")


def page(title: str, body: Markup, *, status: int = 200, wide: bool = False) -> Response:
    text = PAGE.format(title=title, style=STYLE, body=body, width="wide" if wide else "")
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
    }
    return Response(text, status=status, headers=headers, content_type="text/html; charset=utf-8")


def button(action: str, label: str) -> Markup:
    return Markup('<form method="post" action="{}"><button>{}</button></form> ').format(action, label)
