/* PNG files of charts: the browser draws the SVG file, as light or dark as the page is. Without it there are SVG and CSV. */
(() => {
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const draw = async link => {
    const image = new Image();
    image.src = `${link.href}&theme=${dark() ? 'dark' : 'light'}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    const save = document.createElement('a');
    save.href = canvas.toDataURL('image/png');
    save.download = link.dataset.png;
    save.click();
  };
  for (const link of document.querySelectorAll('[data-png]')) {
    link.hidden = false;
    link.addEventListener('click', event => {
      event.preventDefault();
      draw(link).catch(() => { location.href = link.href }); // the SVG file instead
    });
  }
})();
