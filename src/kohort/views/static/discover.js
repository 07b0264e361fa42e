/* The map answers the list: the group under the pointer, or with the focus, stands out. Without it the names are links that do the same. */
(() => {
  const map = document.getElementById('map');
  if (!map) return;
  const dots = [...map.querySelectorAll('.pts, .hex')];
  const before = new Map(dots.map(d => [d, d.classList.contains('dim')]));
  const show = colour => { for (const d of dots) d.classList.toggle('dim', colour ? !d.classList.contains(colour) : before.get(d)) };
  for (const row of document.querySelectorAll('[data-colour]')) {
    const colour = row.dataset.colour;
    if (colour === 'c-n') continue; // from the ninth on they share a colour
    for (const event of ['mouseenter', 'focusin']) row.addEventListener(event, () => show(colour));
    for (const event of ['mouseleave', 'focusout']) row.addEventListener(event, () => show(''));
  }
})();
