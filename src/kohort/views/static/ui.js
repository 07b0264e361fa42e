/* Theme switch, the "More" menu, and short keys. No dependency, nothing is sent anywhere. Without it every page still works. */
(() => {
  const root = document.documentElement;
  const store = { get: () => { try { return localStorage.getItem('kohort-theme') } catch { return null } }, set: v => { try { localStorage.setItem('kohort-theme', v) } catch {} } };
  const wish = store.get();
  if (wish === 'light' || wish === 'dark') root.dataset.theme = wish;

  document.addEventListener('click', e => {
    if (e.target.closest('[data-toggle-theme]')) {
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      store.set(root.dataset.theme);
    }
    for (const d of document.querySelectorAll('.tabbar details[open]')) if (!d.contains(e.target)) d.open = false;
  });

  let last = '';
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape') for (const d of document.querySelectorAll('.tabbar details[open]')) { d.open = false; d.querySelector('summary').focus() }
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) { last = ''; return }
    if (last === 'g') document.querySelector(`.nav a[data-go="${CSS.escape(e.key)}"]`)?.click();
    last = e.key === 'g' ? 'g' : '';
    // Votes: y and n, only while the focus is on the customer they are about.
    e.target.closest('[data-votes]')?.querySelector(`button[data-key="${CSS.escape(e.key)}"]`)?.click();
  });
})();
