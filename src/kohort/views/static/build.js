/* The rule builder counts and reads back while somebody types. Without this the form does the same when "Show" is pressed. */
const form = document.getElementById('build');
const WAIT = 150, TWICE = 3000;
let timer = 0, asking = null, plain = false, leaving = 0;

/* Puts what the server made of the form where it stands; the fields themselves only where `all` says that they changed. */
function show(text, all) {
  const fresh = new DOMParser().parseFromString(text, 'text/html');
  const here = document.activeElement?.name, at = document.activeElement?.selectionStart;
  for (const part of all ? form.querySelectorAll('#rows, [data-live]') : form.querySelectorAll('[data-live]')) {
    const now = fresh.getElementById(part.id);
    if (now && part.isConnected) part.replaceWith(now);
  }
  for (const row of form.querySelectorAll('[data-row]')) row.classList.toggle('err', Boolean(row.querySelector('.told .bad')));
  if (!all || !here) return;
  const field = [...form.elements].find(one => one.name === here && one.type !== 'hidden' && one.name !== 'do');
  if (field && document.activeElement !== field) {
    field.focus();
    if (at !== null && at !== undefined && field.setSelectionRange) try { field.setSelectionRange(at, at) } catch {}
  }
}

async function ask(all, button) {
  clearTimeout(timer);
  asking?.abort();
  const mine = asking = new AbortController();
  const sent = new URLSearchParams(new FormData(form));
  if (button) sent.set('do', button.value);
  const waiting = setTimeout(() => document.getElementById('now')?.classList.add('waits'), 300);
  try {
    const answer = await fetch('/build/preview', { method: 'POST', body: sent, signal: mine.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.text(), all);
    if (button) settle(button.value);
  } catch (error) {
    if (error.name !== 'AbortError' && button) { plain = true; form.requestSubmit(button) } // the page says what is wrong
  } finally {
    clearTimeout(waiting);
    if (asking === mine) asking = null;
  }
}

/* After a button the keyboard stands where it is used next. */
function settle(did) {
  const [what, number] = did.split(':'), rows = [...form.querySelectorAll('[data-row]')];
  if (what === 'add' || what === 'add-group') rows.at(what === 'add' ? -1 : -2)?.querySelector('select')?.focus();
  if (what === 'remove') (rows[Math.min(number, rows.length - 1)]?.querySelector('select') ?? form.querySelector('[value=add]'))?.focus();
}

const QUIET = /^(show|add|add-group|add-in:\d+|remove:\d+|up:\d+|down:\d+)$/;

window.addEventListener('pageshow', () => { plain = false; leaving = 0 });
form.addEventListener('input', event => {
  if (event.target.matches('[data-part]')) return;
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT, false);
});
form.addEventListener('change', event => { if (event.target.matches('[data-part]')) ask(true) });
form.addEventListener('submit', event => {
  const button = event.submitter;
  if (plain || !button || !QUIET.test(button.value)) {
    if (Date.now() - leaving < TWICE) event.preventDefault(); // pressed twice: one is enough
    else leaving = Date.now();
    return;
  }
  event.preventDefault();
  ask(true, button);
});
form.addEventListener('keydown', event => {
  const way = { ArrowUp: 'up', ArrowDown: 'down' }[event.key], row = event.target.closest('[data-row]');
  if (!event.altKey || !way || !row) return;
  event.preventDefault();
  const place = [...form.querySelectorAll('[data-row]')].indexOf(row);
  ask(true, row.querySelector(`[value^="${way}:"]`)).then(() => {
    const rows = form.querySelectorAll('[data-row]');
    rows[Math.max(0, Math.min(rows.length - 1, place + (way === 'up' ? -1 : 1)))]?.querySelector('select')?.focus();
  });
});
