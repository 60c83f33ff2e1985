import { useEffect, useRef } from 'preact/hooks';
import { words } from '../i18n';
import type { Pages } from '../state/pages';
import { explain } from './form';

/** The end of a list: asks for more when it comes near the screen, and says when that failed. */
export function More<T>({ pages }: { pages: Pages<T> }) {
  const ref = useRef<HTMLDivElement>(null);
  const load = useRef(pages.loadMore);
  load.current = pages.loadMore;
  useEffect(() => {
    const element = ref.current;
    if (!element || !pages.more || pages.error) return;
    const near = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) load.current();
    }, { rootMargin: '600px' });
    near.observe(element);
    return () => near.disconnect();
  }, [pages.more, pages.error, pages.rows.length]);
  if (pages.error && pages.loaded) {
    return (
      <div class="more" role="alert">
        {explain(pages.error)}
        <button type="button" class="btn sm" onClick={pages.more ? pages.loadMore : pages.reload}>
          {words.value.common.retry}
        </button>
      </div>
    );
  }
  return (
    <div ref={ref} class="more" aria-busy={pages.more}>
      {pages.more ? <span class="sk w300" /> : null}
    </div>
  );
}
