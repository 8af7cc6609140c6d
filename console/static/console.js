// What the console needs a script for: times in the reader's zone, live parts, keys, and copying. Pages work without it.
'use strict';

const pad = (n) => String(n).padStart(2, '0');
const clock = (t) => `${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}`;
const day = (t) => `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())}`;
const local = (t) => (day(t) === day(new Date()) ? clock(t) : `${day(t)} ${clock(t)}`);

function lasts(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

// Times stand in the page in UTC, which stays what a pointer over them shows.
function times(within) {
  for (const e of within.querySelectorAll('time[data-time]')) {
    const t = new Date(e.dateTime);
    e.textContent = e.dataset.time === 'ago' ? `${lasts(Date.now() - t)} ago` : local(t);
  }
}

// A part that has changed takes the place of the old one. The focus stays where it was.
function replace(html) {
  const box = document.createElement('template');
  box.innerHTML = html;
  const part = box.content.firstElementChild;
  const old = part && document.getElementById(part.id);
  if (!old) return;
  times(part);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const open = new Set([...old.querySelectorAll('details[open][id]')].map((d) => d.id));
  old.replaceWith(part);
  for (const id of open) document.getElementById(id)?.setAttribute('open', '');
  if (!focused) return;
  const same = focused.id ? document.getElementById(focused.id)
    : [...part.querySelectorAll('a, button, input')].find((e) => e.outerHTML === focused.outerHTML || (focused.href && e.href === focused.href));
  same?.focus({ preventScroll: true });
}

// A page that nobody looks at asks for nothing: browsers keep few connections to one server.
let source = null;
function follow() {
  if (document.hidden || !('live' in document.body.dataset)) {
    source?.close();
    source = null;
  } else if (!source) {
    const trouble = document.getElementById('trouble');
    source = new EventSource(location.href);
    source.onmessage = (m) => replace(m.data);
    source.onerror = () => {
      const t = document.getElementById('trouble') || trouble;
      t.hidden = false;
      t.textContent = 'Not up to date: the console does not answer. This page goes on by itself.';
      if (source?.readyState === EventSource.CLOSED) setTimeout(again, 5000);
    };
  }
}

// Who is answered and gets no events is logged out, or one of too many: the page itself says which.
function again() {
  if (document.activeElement.matches('input, textarea, select')) setTimeout(again, 5000);
  else location.reload();
}

function move(step) {
  const rows = [...document.querySelectorAll('.row')];
  const at = rows.findIndex((r) => r.contains(document.activeElement));
  const row = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
  (row?.matches('a') ? row : row?.querySelector('a, button'))?.focus();
}

const keys = {
  '/': () => document.querySelector('input[type=search]')?.focus(),
  j: () => move(1),
  k: () => move(-1),
  '?': () => document.getElementById('help').showModal(),
};

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select, dialog')) {
    if (e.key === 'Escape' && e.target.matches('input')) e.target.blur();
    return;
  }
  if (keys[e.key]) {
    e.preventDefault();
    keys[e.key]();
  }
});

document.addEventListener('click', async (e) => {
  if (e.target.closest('[data-help]')) document.getElementById('help').showModal();
  const button = e.target.closest('[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = 'copied';
  } catch {
    const text = button.previousElementSibling;
    if (text) getSelection().selectAllChildren(text);
    button.textContent = 'selected';
  }
  setTimeout(() => { button.textContent = 'copy'; }, 1500);
});

times(document);
setInterval(() => times(document), 1000);
document.addEventListener('visibilitychange', follow);
follow();

// A histogram is dragged over to choose a time; a bar alone is a link that does the same.
const histogram = document.querySelector('[data-histogram]');
if (histogram) {
  const { from, to } = histogram.dataset;
  const slots = [...histogram.querySelectorAll('.slot')];
  const field = (name, share) => {
    document.getElementById(name).value = new Date((+from + (to - from) * share) * 1000).toISOString().slice(0, 19);
  };
  const at = (e) => {
    const box = histogram.getBoundingClientRect();
    return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
  };
  let begin = null;
  let dragged = false;
  const choose = (e) => {
    const [a, b] = [begin, at(e)].sort((x, y) => x - y);
    slots.forEach((s, i) => s.classList.toggle('chosen', (i + 1) / slots.length > a && i / slots.length < b));
    field('from', a);
    field('to', b);
  };
  histogram.addEventListener('pointerdown', (e) => { begin = at(e); dragged = false; });
  window.addEventListener('pointermove', (e) => {
    if (begin === null || (!dragged && Math.abs(at(e) - begin) < 0.01)) return;
    dragged = true;
    choose(e);
  });
  window.addEventListener('pointerup', () => { begin = null; });
  histogram.addEventListener('dragstart', (e) => e.preventDefault());
  histogram.addEventListener('click', (e) => { if (dragged) e.preventDefault(); });
}
