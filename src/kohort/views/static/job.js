/* Keeps the page of a job current while somebody looks. Without it the page reloads itself. */
(() => {
  const here = document.getElementById('job');
  if (!here) return;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(here.dataset.at, { headers: { Accept: 'text/html' } });
        if (answer.redirected) { location.replace(answer.url); return }
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const now = page.getElementById('job');
        if (!now || now.dataset.state !== here.dataset.state) { location.reload(); return }
        const mine = document.getElementById('job-now');
        const theirs = page.getElementById('job-now');
        if (mine && theirs && mine.innerHTML !== theirs.innerHTML) mine.replaceChildren(...theirs.childNodes);
      } catch { /* the server is away for a moment: look again */ }
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 1000);
})();
