/** Of all pages of the manual, in the colours of the page at `/` (`dashboard/src/styles/tokens.css`). No font or picture of elsewhere; colours by what the reader's system prefers. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f6f6f8; --line: #e3e3e9; --text: #17171f; --dim: #575766; --accent: #5546cf;
  --tint: #eeecfd; --code: #f6f6f8; --remark: #5a6657; --note: #875200; --note-ground: #fbf0da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d0e12; --panel: #15161c; --line: #262832; --text: #ececf2; --dim: #a3a5b5; --accent: #aaa0ff;
    --tint: #262341; --code: #15161c; --remark: #9db08f; --note: #f2b84f; --note-ground: #2e2412;
  }
}
* { box-sizing: border-box }
html { scroll-padding-top: 4.5rem; -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif }
a { color: var(--accent); text-underline-offset: .18em; text-decoration-thickness: .06em }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px }
main:focus { outline: none }
.skip { position: absolute; left: -99rem }
.skip:focus { left: 1rem; top: .5rem; z-index: 9; padding: .3rem .8rem; background: var(--ground) }

header { position: sticky; top: 0; z-index: 5; display: flex; gap: 1.2rem; align-items: center; height: 3.5rem; padding: 0 1.5rem;
  background: var(--ground); border-bottom: 1px solid var(--line) }
header a { text-decoration: none }
.brand { color: var(--text); font-weight: 700; letter-spacing: .02em; white-space: nowrap }
.brand span { color: var(--dim); font-weight: 400 }
header form { display: flex; flex: 0 1 22rem; margin-left: auto; min-width: 0 }
input { flex: 1; min-width: 0; font: inherit; font-size: .95rem; padding: .3rem .7rem; color: var(--text); background: var(--panel);
  border: 1px solid var(--line); border-radius: .5rem 0 0 .5rem }
input::placeholder { color: var(--dim); opacity: 1 }
button { font: inherit; font-size: .95rem; color: var(--text); background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .3rem .9rem; cursor: pointer }
button:hover { background: var(--tint) }
form button { border-left: 0; border-radius: 0 .5rem .5rem 0 }
header nav { display: flex; gap: 1rem; font-size: .95rem }
.menu { display: none }

.page { display: grid; grid-template-columns: 14rem minmax(0, 47rem) minmax(10rem, 14rem); justify-content: center; gap: 0 2.6rem; padding: 0 1.5rem }
#contents, aside { position: sticky; top: 3.5rem; align-self: start; max-height: calc(100vh - 3.5rem); overflow-y: auto; padding: 1.6rem .5rem 2rem .3rem; font-size: .93rem; line-height: 1.4 }
#contents[popover] { display: block; inset: 3.5rem auto auto; margin: 0; border: 0; width: auto; height: auto; color: inherit; background: none }
#contents p, #contents summary, aside p { margin: 1.1rem 0 .35rem; color: var(--dim); font-size: .78rem; font-weight: 650; letter-spacing: .07em; text-transform: uppercase }
#contents summary { cursor: pointer }
#contents p:first-of-type { margin-top: 0 }
#contents .close { display: none }
#contents ul, aside ul, .here ul { list-style: none; margin: 0; padding: 0 }
#contents li a { display: block; padding: .26rem .7rem; border-radius: .4rem; color: var(--text); text-decoration: none }
#contents li a:hover { background: var(--panel) }
#contents a[aria-current] { background: var(--tint); color: var(--accent); font-weight: 600 }
aside { padding-top: 2.6rem }
aside p { margin-top: 0 }
aside li a, .here li a { display: block; padding: .18rem 0; color: var(--dim); text-decoration: none }
aside li a:hover { color: var(--accent) }
.of-3 { padding-left: .9rem }
.here { display: none; margin: .4rem 0 1rem; padding: .5rem .9rem; border: 1px solid var(--line); border-radius: .5rem; font-size: .95rem }
.here summary { cursor: pointer; font-weight: 600 }
.here a { min-height: 1.6rem }

main { min-width: 0; padding: 2rem 0 4rem }
.section { margin: 0; color: var(--accent); font-size: .82rem; font-weight: 650; letter-spacing: .05em; text-transform: uppercase }
h1 { margin: .1rem 0 1rem; font-size: 2.1rem; line-height: 1.2; letter-spacing: -.015em; text-wrap: balance }
h2 { margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); font-size: 1.4rem; line-height: 1.3 }
h3 { margin: 1.9rem 0 .5rem; font-size: 1.12rem; line-height: 1.35 }
h4 { margin: 1.4rem 0 .4rem; font-size: 1rem }
p, ul, ol { margin: 0 0 1rem }
article ul, article ol { padding-left: 1.4rem }
article li { margin: .25rem 0 }
article li::marker { color: var(--dim) }
.anchor { margin-left: .4rem; color: var(--dim); font-weight: 400; text-decoration: none; opacity: 0 }
:is(h1, h2, h3, h4):hover .anchor, .anchor:focus-visible { opacity: 1 }
code { padding: .1em .28em; border-radius: .3rem; background: var(--code); font: .885em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere }
a code { color: inherit }
.code { position: relative; margin: 0 0 1.2rem }
.code figcaption { position: absolute; right: .6rem; top: -.7rem; padding: 0 .55rem; border-radius: 1rem; background: var(--note-ground); color: var(--note); font-size: .75rem; font-weight: 600; line-height: 1.4rem }
pre { margin: 0; padding: .9rem 1.1rem; overflow-x: auto; background: var(--code); border: 1px solid var(--line); border-radius: .6rem; line-height: 1.5; tab-size: 2 }
pre code { padding: 0; background: none; overflow-wrap: normal; font-size: .86rem }
pre i { color: var(--remark); font-style: normal }
.wide { margin: 0 0 1.3rem; overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .93rem; line-height: 1.5 }
th { text-align: left; font-weight: 650; border-bottom: 2px solid var(--line) }
thead tr:not(:has(th)) { display: none }
th, td { padding: .45rem .8rem .45rem 0; vertical-align: top }
td { border-bottom: 1px solid var(--line) }
td .short { white-space: nowrap }
img { display: block; max-width: 100%; height: auto; margin: 1.2rem auto }
img[src$='.png'] { border: 1px solid var(--line); border-radius: .6rem }
blockquote { margin: 0 0 1rem; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--accent); color: var(--dim) }
hr { border: 0; border-top: 1px solid var(--line) }

.turn { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 1rem; margin-top: 3rem; padding-top: 1.4rem; border-top: 1px solid var(--line) }
.turn a { flex: 0 1 auto; min-width: 12rem; padding: .7rem 1.1rem; border: 1px solid var(--line); border-radius: .6rem; font-weight: 600; text-decoration: none }
.turn a:hover { background: var(--tint) }
.turn [rel=next] { margin-left: auto; text-align: right }
.turn span { display: block; color: var(--dim); font-size: .8rem; font-weight: 400 }
.found { padding-left: 0; list-style: none }
.found li { margin: 0 0 1.3rem }
.found a { font-weight: 600 }
.found span { margin-left: .5rem; color: var(--dim); font-size: .88rem }
.found p { margin: .15rem 0 0; color: var(--dim); font-size: .93rem; overflow-wrap: anywhere }

@media (max-width: 74rem) {
  .page { grid-template-columns: 14rem minmax(0, 47rem) }
  aside { display: none }
  .here { display: block }
}
@media (max-width: 54rem) {
  header { gap: .8rem; padding: 0 1rem }
  header nav, .brand span { display: none }
  header form { flex: 1 }
  form button { display: none }
  input { border-radius: .5rem }
  .menu { display: block }
  .page { display: block; padding: 0 1rem }
  main { padding: 1.2rem 0 3rem }
  h1 { font-size: 1.7rem }
  #contents[popover] { display: none }
  #contents[popover]:popover-open { display: block; position: fixed; inset: 0; z-index: 9; width: 100%; height: 100%; max-width: none; max-height: none; padding: 1rem 1.2rem 3rem; background: var(--ground); font-size: 1rem }
  #contents .close { display: block; position: sticky; top: 0; margin: 0; text-align: right }
  #contents li a { padding: .5rem .7rem }
  .wide table { min-width: 34rem }
  img[src$='.svg'] { max-width: none; width: 44rem }
  .picture { overflow-x: auto }
}
@media print {
  header, #contents, #contents[popover], aside, .here, .turn, .skip, .anchor { display: none }
  .page { display: block; padding: 0 }
  body { font-size: 10.5pt }
  pre, table { white-space: pre-wrap; break-inside: avoid }
  h2, h3 { break-after: avoid }
}
`.trimStart()
