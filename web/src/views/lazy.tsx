import type { ComponentType, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { words } from '../i18n';

/** A view in a chunk of its own, loaded when it is first shown. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, meanwhile: () => VNode | null): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [View, setView] = useState<ComponentType<P> | null>(() => loaded);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (View) return;
      let gone = false;
      load().then(
        (component) => {
          loaded = component;
          if (!gone) setView(() => component);
        },
        () => {
          if (!gone) setFailed(true);
        },
      );
      return () => {
        gone = true;
      };
    }, []);
    if (View) return <View {...props} />;
    if (!failed) return meanwhile();
    return (
      <div class="page-note">
        <p>{words.value.errors.network}</p>
        <button class="btn" type="button" onClick={() => location.reload()}>
          {words.value.common.reload}
        </button>
      </div>
    );
  };
}
