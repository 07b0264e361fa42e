/* What happens while one looks: entries and exits as they come, and how far work is. Without it pages show what was so when they
   were opened. */
(() => {
  const MOST = 50;
  const words = document.currentScript.dataset; // in the reader's language
  const list = document.querySelector('[data-stream]');
  const state = document.getElementById('stream-state');
  const say = text => { if (state && state.textContent !== text) state.textContent = text };

  if (list && window.EventSource) {
    const source = new EventSource(list.dataset.stream);
    source.addEventListener('open', () => say(words.opened));
    source.addEventListener('error', () => say(source.readyState === EventSource.CLOSED ? words.closed : words.trying));
    source.addEventListener('moves', e => {
      list.insertAdjacentHTML('afterbegin', e.data);
      while (list.children.length > MOST) list.lastElementChild.remove();
      document.getElementById('no-moves')?.setAttribute('hidden', '');
    });
    source.addEventListener('now', e => { document.getElementById('now').innerHTML = e.data });
    source.addEventListener('over', () => {
      source.close();
      say(words.over);
    });
    addEventListener('pagehide', () => source.close());
  }

  /* Work under way: its line is brought up to date, and the page is loaded again once it is done. */
  const again = async () => {
    const shown = document.querySelector('[data-again]');
    if (!shown) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      const there = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('[data-again]');
      if (!answer.ok) return;
      if (!there) { location.reload(); return }
      shown.innerHTML = there.innerHTML;
    } catch { /* the next time */ }
    setTimeout(again, 1000 * shown.dataset.again);
  };
  const first = document.querySelector('[data-again]');
  if (first) setTimeout(again, 1000 * first.dataset.again);
})();
